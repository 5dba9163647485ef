"""Controls over an `explore.Bench`: choose or type a prompt, ask, compare."""

from collections.abc import Callable

import ipywidgets as widgets

from flanlib.core.errors import FlanlibError, ParameterError
from flanlib.prompts.prompt import Prompt
from flanlib.workbench.answers import escaped, typed
from flanlib.workbench.explore import EXAMPLES, Bench


class Panel:
    """Widgets over a bench: choose or type a prompt, ask, compare.

    Parameters
    ----------
    bench
        The two models that are asked, and their study.
    cluster, dataset, template
        What is chosen at first; empty is the held-out cluster's first.

    Raises
    ------
    ParameterError
        If one of them is not there, or has no rows here.
    """

    def __init__(self, bench: Bench, cluster: str = "", dataset: str = "", template: str = ""):
        self.bench = bench
        known = bench.study.catalogue.clusters
        wide = widgets.Layout(width="98%")
        clusters = [(c.title, key) for key, c in known.items() if bench.tasks(key)]
        self.cluster = widgets.Dropdown(options=clusters, description="cluster")
        self.dataset = widgets.Dropdown(description="dataset")
        self.template = widgets.Dropdown(description="template")
        self.number = widgets.BoundedIntText(0, min=0, max=EXAMPLES - 1, description="example")
        self.note, self.question, self.result = (widgets.HTML() for _ in range(3))
        self.own = widgets.Textarea(
            placeholder="Type an instruction of your own", rows=4, layout=wide
        )
        self.options = widgets.Text(
            placeholder="options with | between; empty: free text", layout=wide
        )
        self.ask = widgets.Button(description="Ask both", button_style="primary")
        self.ask_own = widgets.Button(description="Ask both", button_style="primary")
        _choose(self.cluster, "cluster", cluster or bench.job.factors.held_out)
        self._fill_datasets()
        self.dataset.value = bench.find(self.cluster.value, dataset).key
        self._fill_templates()
        _choose(self.template, "template", template or self.template.value)
        self._show()
        for one, follow in (
            (self.cluster, self._fill_datasets),
            (self.dataset, self._fill_templates),
            (self.template, self._show),
            (self.number, self._show),
        ):
            one.observe(lambda _, follow=follow: self._try(follow), "value")
        self.ask.on_click(lambda _: self._answer(self.prompt))
        self.ask_own.on_click(
            lambda _: self._answer(lambda: typed(self.own.value, self.options.value))
        )
        self.box = widgets.VBox(
            [
                widgets.HTML("<b>A question of the collection</b>"),
                widgets.HBox(
                    [self.cluster, self.dataset, self.template, self.number],
                    layout=widgets.Layout(flex_flow="row wrap"),
                ),
                self.note,
                self.question,
                self.ask,
                widgets.HTML("<b>An instruction of your own</b>"),
                self.own,
                self.options,
                self.ask_own,
                self.result,
            ]
        )

    def prompt(self) -> Prompt:
        """The question that is chosen."""
        return self.bench.prompt(
            self.cluster.value, self.dataset.value, self.template.value, self.number.value
        )

    def _fill_datasets(self) -> None:
        tasks = self.bench.tasks(self.cluster.value)
        _fill(self.dataset, [(task.title, task.key) for task in tasks])

    def _fill_templates(self) -> None:
        if self.dataset.value is None:
            return
        every = self.bench.templates(self.bench.find(self.cluster.value, self.dataset.value))
        _fill(self.template, [(t.id + " (inverted)" * t.inverted, t.id) for t in every])

    def _show(self) -> None:
        """The prompt as a model reads it, and whether it is new to the tuned one."""
        if self.template.value is None:
            return
        prompt = self.prompt()
        task = self.bench.find(self.cluster.value, self.dataset.value)
        self.note.value = f"<small>{escaped(self.bench.seen(task))}</small>"
        self.question.value = (
            f"<pre style='white-space:pre-wrap;margin:.3em 0'>{escaped(prompt.input)}</pre>"
            f"<small>right: {escaped(prompt.target)}</small>"
        )

    def _answer(self, prompt: Callable[[], Prompt]) -> None:
        self.result.value = "asking both models …"
        for button in (self.ask, self.ask_own):
            button.disabled = True
        try:
            self._try(lambda: self._put(self.bench.ask(prompt())._repr_html_()))
        finally:
            for button in (self.ask, self.ask_own):
                button.disabled = False

    def _put(self, result: str) -> None:
        self.result.value = result

    def _try(self, work: Callable[[], None]) -> None:
        """Do something; whatever goes wrong is told where answers are shown.

        Nobody opens the log that an exception in a callback goes to.
        """
        try:
            work()
        except (Exception, KeyboardInterrupt) as error:
            self._put(f"<b>{escaped(_told(error))}</b>")


def _told(error: BaseException) -> str:
    """An error in one line that any page can show."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    said = " ".join(str(error).split())
    if not isinstance(error, FlanlibError):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return said if len(said) <= 600 else f"{said[:600]}…"


def _choose(menu: widgets.Dropdown, name: str, value: str) -> None:
    """Choose what has to be on a menu."""
    there = [key for _, key in menu.options]
    if value not in there:
        raise ParameterError(f"{name}: {value!r} is none of {', '.join(there) or 'none'}")
    menu.value = value


def _fill(menu: widgets.Dropdown, choices: list[tuple[str, str]]) -> None:
    """Give a menu its (label, value) pairs, and choose the first."""
    menu.options = choices
    menu.value = choices[0][1] if choices else None

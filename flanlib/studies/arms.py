"""What the main result asks: of which tasks, in which ways, and what is compared."""

from flanlib.core.config import Scoring
from flanlib.data import sources
from flanlib.data.catalogue import Catalogue, Task
from flanlib.evaluation import requests
from flanlib.prompts import templates
from flanlib.results.effects import Estimand
from flanlib.studies.profiles import Settings

ASKED = Scoring()
BARE = Scoring(show_options=False)
CLOZE = Scoring(form="cloze", show_options=False)
CHAT = Scoring(chat=True)
CONTROLS = ("base", "base-no-options", "base-cloze", "base-chat")
ARMS = ("chance", *CONTROLS, "tuned")
GAINS = tuple((Estimand("tuned"), Estimand(control)) for control in CONTROLS)


def controls(catalogue: Catalogue, task: Task, chat: bool) -> list[Scoring]:
    """The ways in which an untuned model is asked a task.

    Parameters
    ----------
    task
        A task without options has none to leave out, and one without cloze
        templates is not asked by cloze.
    chat
        Whether the model's own chat template is one of the ways.
    """
    found = [ASKED, *([BARE] if task.kind == "rank" else [])]
    found += [CLOZE] if templates.of_task(catalogue, task, "cloze") else []
    return [*found, *([CHAT] if chat else [])]


def left_out(catalogue: Catalogue, settings: Settings) -> dict[str, str]:
    """Tasks that are not scored -> why.

    A profile may take what there are rows for. Otherwise only tasks whose
    rows each user has to obtain may be absent; the rest are required.
    """
    defaults, rows = settings.defaults, settings.rows
    why = sources.available(catalogue, rows or None)
    few = Scoring(max_examples=defaults.fewest)
    for key, task in catalogue.tasks.items():
        if why[key] or defaults.fewest <= 1 or not catalogue.clusters[task.cluster].evaluable:
            continue
        if (n := len(requests.examples_of(catalogue, task, few, rows))) < defaults.fewest:
            why[key] = f"task {key}: {n} evaluation rows, and {defaults.fewest} are needed"
    optional = {t.key for t in catalogue.tasks.values() if t.source.route == "manual"}
    return {key: w for key, w in why.items() if w and (defaults.what_there_is or key in optional)}

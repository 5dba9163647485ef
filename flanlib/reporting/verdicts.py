"""Whether a figure agrees with the paper, in words that its numbers choose.

A claim of the paper is a direction; the interval of a difference measured here
says yes, no, or that it is undecided.
"""

from collections.abc import Mapping

from flanlib.reporting.values import Tables, Value, read, value_of
from flanlib.results import effects
from flanlib.results.effects import ALL

ANSWERS = {"higher": "yes", "undecided": "undecided", "lower": "no"}
SHARE = 0.25  # of a gain, below which a change of it is called little
THREE = "nli+commonsense+closed_book_qa"  # the clusters of the paper's Figure 6
FULL = "instruction > instruction"


def answered(parts: Mapping[str, Value]) -> str:
    """Yes, no or undecided for each part of a claim that something is higher.

    Parameters
    ----------
    parts
        What is compared -> its difference.

    Examples
    --------
    >>> up, down = Value(value=2, low=1, high=3), Value(value=-2, low=-3, high=-1)
    >>> answered({"a": up, "b": up}), answered({"a": up, "b": down, "c": up})
    ('yes', 'yes: a, c; no: b')
    """
    sides: dict[str, list[str]] = {answer: [] for answer in ANSWERS.values()}
    for name, difference in parts.items():
        sides[ANSWERS[difference.side]].append(name)
    said = {answer: names for answer, names in sides.items() if names}
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{answer}: {', '.join(names)}" for answer, names in said.items())


def each(
    tables: Tables, figure: str, arm: str, over: str, against: str = "", **wanted: str
) -> dict[str, Value]:
    """The values of an arm by cluster (the mean left out), or by place on the axis.

    Parameters
    ----------
    arm, against
        As its table has them.
    over
        `cluster` or `x`.
    wanted
        What else the rows have.
    """
    rows = effects.series(read(tables.path(figure)), arm, against=against)
    for key, name in {"group": "", "x": "", "cluster": ALL, "dataset": "", **wanted}.items():
        rows = rows if key == over else rows[rows[key] == name]
    rows = rows[rows["value"].notna() & ((over != "cluster") | (rows["cluster"] != ALL))]
    return {getattr(row, over): value_of(row) for row in rows.itertuples()}


def highest(values: Mapping[str, Value]) -> str:
    """The name of the highest value."""
    return max(values, key=lambda key: values[key].value)


def lowest(values: Mapping[str, Value]) -> str:
    """The name of the lowest value."""
    return min(values, key=lambda key: values[key].value)


def turned(values: Mapping[str, Value]) -> dict[str, Value]:
    """Differences taken the other way round."""
    return {name: difference.turned for name, difference in values.items()}


def tally(values: Mapping[str, Value]) -> str:
    """How many differences are above 0, below 0, or over it.

    Examples
    --------
    >>> up, over = Value(value=2, low=1, high=3), Value(value=1, low=-1, high=3)
    >>> tally({"a": up, "b": over, "c": over})
    '1 gains, 0 lose, 2 undecided'
    """
    sides = [difference.side for difference in values.values()]
    up, down = (sides.count(side) for side in ("higher", "lower"))
    return (
        f"{up} gain{'s' if up == 1 else ''}, {down} lose{'s' if down == 1 else ''},"
        f" {sides.count('undecided')} undecided"
    )


def clusters(tables: Tables) -> str:
    """Figure 6: the score rises almost throughout with the number of tuning clusters."""
    order = "paper's order"
    every = {"against": order, "x": "all"}
    return answered(
        {
            "from one cluster to all": tables("fig6", order, against_x="1", **every),
            "from half of them to all": tables("fig6", order, against_x="half", **every),
            "the paper's three clusters, from four to seven": tables(
                "fig6", order, against=order, x="7", against_x="4", group=THREE
            ),
        }
    )


def scale(tables: Tables) -> str:
    """Figure 7: small models are hurt, large ones gain."""
    gains = list(each(tables, "fig7", "tuned", "x", "base", group="held-out").values())
    hurt = sum(gain.side == "lower" for gain in gains)
    said = f"{hurt or 'none'} of {len(gains)} sizes lose{'s' if hurt < 2 else ''}"
    large = ANSWERS[gains[-1].side]
    return f"{'yes' if hurt else 'no'} on small models: {said}; {large} on the largest"


def instructions(tables: Tables) -> str:
    """Figure 8: tuning with instructions wins over tuning without."""
    return answered(
        {
            "over inputs alone": tables("fig8", FULL, against="none > instruction"),
            "over dataset names": tables("fig8", FULL, against="dataset-name > instruction"),
            "over names in evaluation too": tables(
                "fig8", FULL, against="dataset-name > dataset-name"
            ),
        }
    )


def exemplars(tables: Tables) -> str:
    """Figure 9: exemplars in the prompt help everywhere."""
    models = {"the base": "base", "tuned": "tuned", "tuned with exemplars": "tuned with exemplars"}
    few = {"x": "3", "against_x": "0"}
    return answered({k: tables("fig9", arm, against=arm, **few) for k, arm in models.items()})


def soft_prompts(tables: Tables) -> str:
    """Figure 10: a soft prompt is better learned on the tuned model."""
    return answered(
        {
            f"with {x} examples": tables("fig10", "on tuned", against="on base", x=x)
            for x in ("32", "all")
        }
    )


def templates(tables: Tables) -> str:
    """Figure 11: the number of templates per dataset has little effect."""
    change = tables("fig11", "tuned", against="tuned", x="10", against_x="1")
    gain = tables("fig11", "tuned", against="base", x="1")
    if change.side == "undecided":
        return "yes: no effect is shown"
    share = abs(change.value / gain.value) if gain.value else float("inf")
    little = "yes: little, not none" if share < SHARE else "no"
    return f"{little} ({100 * share:.0f} % of the gain with one)"

"""What a mixture holds, in what shares, and what was left out and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TaskAudit:
    """One task's part in a mixture.

    Attributes
    ----------
    n_read
        Train rows read, at most the cap.
    n_similar, n_empty
        Rows dropped: 13 words in a row shared with a dev or evaluation row,
        or the whole text of a dev row; every template asks for a field that
        is empty.
    n
        Examples kept.
    rate
        Share of draws, between 0 and 1.
    n_templates, n_inverted
        Templates drawn from, and how many of them turn the task round.
    excluded
        Why the task is not in the mixture; empty when it is.
    """

    task: str
    dataset: str
    cluster: str
    n_read: int = 0
    n_similar: int = 0
    n_empty: int = 0
    n: int = 0
    rate: float = 0.0
    n_templates: int = 0
    n_inverted: int = 0
    excluded: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluationAudit:
    """Dev and evaluation rows of a held-out task that train rows were held against.

    Attributes
    ----------
    n
        Rows of both.
    unchecked
        Why some rows were not there to compare with; empty when all were.
    """

    task: str
    n: int = 0
    unchecked: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenAudit:
    """Lengths of one side of sampled prompts, in tokens.

    Attributes
    ----------
    n
        Prompts sampled.
    mean, median, p95, longest
        Median and p95 are lengths that occur: those half and 0.95 of the way up.
    """

    side: str
    n: int
    mean: float
    median: float
    p95: float
    longest: int

    @classmethod
    def of(cls, side: str, lengths: Sequence[int]) -> "TokenAudit":
        """Summary of `lengths`, at least one, in any order."""
        ordered = sorted(lengths)
        n = len(ordered)
        return cls(
            side=side,
            n=n,
            mean=round(sum(ordered) / n, 2),
            median=float(ordered[n // 2]),
            p95=float(ordered[min(n - 1, int(0.95 * n))]),
            longest=ordered[-1],
        )


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The account of a mixture.

    Attributes
    ----------
    settings
        Arguments the mixture is a function of.
    tasks
        In catalogue order: tasks tuned on or left out, none that is evaluated.
    evaluation
        One for each held-out task; empty if nothing is held out.
    shared_texts
        Kept examples whose text is that of a dev or evaluation row; recounted
        over what was kept, and always 0.
    inverted_share
        Expected share of draws phrased by an inverted template.
    tokens
        Empty unless a tokenizer was given.
    """

    collection: str
    held_out: str
    settings: dict[str, Any]
    tasks: tuple[TaskAudit, ...]
    evaluation: tuple[EvaluationAudit, ...]
    shared_texts: int
    inverted_share: float
    tokens: tuple[TokenAudit, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self) | {
            "clusters": self._by("cluster"),
            "datasets": self._by("dataset"),
            "n": sum(t.n for t in self.tasks),
        }

    def _by(self, name: str) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for task in self.tasks:
            if not task.excluded:
                part = found.setdefault(getattr(task, name), {"n": 0, "rate": 0.0})
                part["n"] += task.n
                part["rate"] = round(part["rate"] + task.rate, 6)
        return found

    def table(self) -> str:
        """The account as text: tasks, clusters, what was excluded, totals."""
        used = [t for t in self.tasks if not t.excluded]
        rows = [
            (
                *(t.task, t.dataset, t.cluster, t.n_read, t.n_similar, t.n_empty, t.n),
                f"{100 * t.rate:.2f}",
                f"{t.n_templates} ({t.n_inverted})",
            )
            for t in used
        ]
        head = "task dataset cluster read similar empty kept rate_% templates_(inverted)"
        parts = [
            f"Mixture of {self.collection}, held out: {self.held_out or 'nothing'}",
            columns(head.split(), rows),
            columns(
                ["cluster", "kept", "rate_%"],
                [(k, v["n"], f"{100 * v['rate']:.2f}") for k, v in self._by("cluster").items()],
            ),
        ]
        if left := [(t.task, t.cluster, t.excluded) for t in self.tasks if t.excluded]:
            parts.append(columns(["excluded", "cluster", "why"], left))
        if self.evaluation:
            checked = [(e.task, e.n, e.unchecked) for e in self.evaluation]
            parts.append(columns(["evaluated", "rows_checked", "unchecked_because"], checked))
        if self.tokens:
            head = ["side", "n", "mean", "median", "p95", "longest"]
            parts.append(columns(head, [tuple(asdict(t).values()) for t in self.tokens]))
        parts.append(
            f"{sum(t.n for t in used)} examples of {len(used)} tasks,"
            f" {len({t.dataset for t in used})} datasets; inverted {100 * self.inverted_share:.1f} %;"
            f" texts shared with evaluation rows: {self.shared_texts}"
        )
        return "\n\n".join(parts)


def columns(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as aligned text columns, numbers to the right.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Cells, as many in each row as there are names.
    """
    cells = [[str(v) for v in row] for row in rows]
    widths = [max(len(r[i]) for r in ([*cells, list(head)])) for i in range(len(head))]
    numeric = [
        bool(rows)
        and all(
            isinstance(r[i], int | float) or str(r[i]).replace(".", "", 1).isdigit() for r in rows
        )
        for i in range(len(head))
    ]
    lines = [
        "  ".join(
            v.rjust(w) if right else v.ljust(w)
            for v, w, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [list(head), *cells]
    ]
    return "\n".join(lines)

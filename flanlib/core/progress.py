"""Progress in lines: what runs, what is done, how long is left."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def say(line: str) -> None:
    """One line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)


@dataclass
class Board:
    """Jobs under way, some at a time.

    Attributes
    ----------
    titles
        What each job is called.
    expected_s
        First guess of each job's seconds; corrected as jobs end.
    at_a_time
        Jobs that run together.
    status
        File in which each job says where it is; may not exist.
    started
        Number of the job -> when it began, on the monotonic clock, in seconds.
    taken_s
        Number of the job -> seconds it took; has the jobs that are done.
    clock
        Tells seconds; only differences count.
    """

    titles: list[str]
    expected_s: list[float]
    at_a_time: int = 1
    status: list[Path] = field(default_factory=list)
    started: dict[int, float] = field(default_factory=dict)
    taken_s: dict[int, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def start(self, n: int) -> None:
        """Note that a job runs from now on."""
        self.started.setdefault(n, self.clock())

    def finish(self, n: int, seconds: float) -> None:
        """Count a job as done, and say so."""
        self.taken_s[n] = seconds
        say(f"{self._count()} {self.titles[n]}: {span(seconds)}; {self.left()}")

    def tick(self) -> None:
        """Say what is still running, and where it is."""
        running = [n for n in self.started if n not in self.taken_s]
        say(f"{self._count()} running: {'; '.join(map(self._where, running))}; {self.left()}")

    def left(self) -> str:
        """Time left, in words."""
        if len(self.taken_s) == len(self.titles):
            return "all done"
        return f"about {span(self.left_s())} left"

    def left_s(self) -> float:
        """Seconds left, going by the pace of the jobs that are done."""
        expected = sum(self.expected_s[n] for n in self.taken_s)
        pace = sum(self.taken_s.values()) / expected if expected else 1.0
        now, rest = self.clock(), 0.0
        for n, seconds in enumerate(self.expected_s):
            if n not in self.taken_s:
                spent = now - self.started[n] if n in self.started else 0.0
                rest += max(pace * seconds - spent, 0.1 * pace * seconds)
        return rest / self.at_a_time

    def _count(self) -> str:
        return f"[{len(self.taken_s)}/{len(self.titles)}]"

    def _where(self, n: int) -> str:
        spent = span(self.clock() - self.started[n])
        try:
            line = self.status[n].read_text(encoding="utf-8").strip()
        except (IndexError, OSError):
            line = ""
        return f"{self.titles[n]} ({', '.join(part for part in (spent, line) if part)})"


def span(seconds: float) -> str:
    """Seconds, or minutes where they are many.

    Examples
    --------
    >>> span(12.3), span(600), span(7200)
    ('12 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"

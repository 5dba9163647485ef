"""The main result of a study, as far as it is on record: figure 5 in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from flanlib.core.errors import MissingResultError
from flanlib.reporting.values import Tables, Value, read, value_of
from flanlib.results import effects
from flanlib.results.effects import ALL
from flanlib.studies import profiles
from flanlib.studies.arms import CONTROLS

MAIN = "fig5_zero_shot_gains"
WHOLE_SEEDS = 3  # tuning seeds of a main result that is not a part


def main_result(profile: str) -> "MainResult":
    """The main result of a profile, as far as it is on record."""
    path = Tables(profile).folder / f"{MAIN}.csv"
    titles = profiles.settings(profile=profile).titles
    return MainResult(profile, read(path) if path.is_file() else None, titles)


@dataclass(frozen=True)
class MainResult:
    """Figure 5 of one profile: each cluster held out, tuned model against its controls.

    Attributes
    ----------
    profile
        Such as `small`.
    table
        Its CSV as text; None if nothing is on record.
    titles
        Cluster that can be held out -> its title.
    """

    profile: str
    table: pd.DataFrame | None
    titles: Mapping[str, str]

    @property
    def there(self) -> bool:
        """Whether any of it is on record."""
        return self.table is not None

    @property
    def clusters(self) -> list[str]:
        """Clusters of which a gain is on record, in the collection's order."""
        there = set(self._gains["cluster"])
        return [key for key in self.titles if key in there]

    @property
    def whole(self) -> bool:
        """Whether every cluster is on record, with all seeds."""
        return len(self.clusters) == len(self.titles) and self.seeds >= WHOLE_SEEDS

    @property
    def seeds(self) -> int:
        """Tuning seeds behind each cluster; the fewest."""
        return min((self.gain(cluster).seeds for cluster in self.clusters), default=0)

    @property
    def seeds_by_number(self) -> Mapping[int, Sequence[str]]:
        """Number of tuning seeds -> the clusters that have so many; fewest first."""
        found: dict[int, list[str]] = {}
        for cluster in self.clusters:
            found.setdefault(self.gain(cluster).seeds, []).append(cluster)
        return dict(sorted(found.items()))

    @property
    def usual_seeds(self) -> int:
        """The number of tuning seeds that most clusters have; 0 where that is under three of them."""
        by = self.seeds_by_number
        return next((n for n in sorted(by, key=lambda n: -len(by[n])) if len(by[n]) > 2), 0)

    @property
    def lacking(self) -> Sequence[str]:
        """Clusters that can be held out and are not on record as a whole."""
        return [cluster for cluster in self.titles if cluster not in self.clusters]

    @property
    def n_groups(self) -> int:
        """How many groups there are; 0 where each cluster is held out alone."""
        profile = profiles.PROFILES[self.profile]
        return len(profile.held_out_groups) if profile.by_group else 0

    @property
    def n_datasets(self) -> int:
        """Datasets scored."""
        return len(set(self._gains["dataset"]) - {""})

    @property
    def _gains(self) -> pd.DataFrame:
        """Gains over the base, of clusters and datasets."""
        if self.table is None:
            return pd.DataFrame(columns=effects.KEYS)
        return effects.series(self.table, "tuned", against="base")

    @property
    def mean(self) -> str:
        """The cluster that stands for all of it: `all`, or the only one."""
        return ALL if len(self.clusters) > 1 else self.clusters[0]

    @property
    def controls(self) -> list[str]:
        """Ways of asking the untuned model that every cluster has."""
        return [arm for arm in CONTROLS if self.has(arm, self.mean)]

    @property
    def best(self) -> str:
        """The control that the tuned model gains least over, on the mean."""
        return min(self.controls, key=lambda arm: self.gain(self.mean, arm).value)

    def has(self, arm: str, cluster: str) -> bool:
        """Whether a cluster was asked in some way, such as `base-cloze`."""
        return self.table is not None and self._picked(cluster, arm) is not None

    def score(self, cluster: str, arm: str) -> Value:
        """Mean score of a cluster, in percent.

        Parameters
        ----------
        arm
            `chance`, one of `CONTROLS`, or `tuned`.
        """
        return self._value(cluster, arm)

    def gain(self, cluster: str, over: str = "base") -> Value:
        """What tuning adds on a cluster, in percentage points."""
        return self._value(cluster, "tuned", over)

    def most(self, over: str = "base") -> str:
        """The cluster that gains most."""
        return max(self.clusters, key=lambda cluster: self.gain(cluster, over).value)

    def without_most(self, over: str = "base") -> Value:
        """The mean gain of the clusters but the one that gains most; it has no interval."""
        gains = sorted(self.gain(cluster, over).value for cluster in self.clusters)[:-1]
        return Value(value=sum(gains) / len(gains))

    def _value(self, cluster: str, arm: str, against: str = "") -> Value:
        if self.table is None:
            raise MissingResultError(f"{self._where}: not on record")
        if (found := self._picked(cluster, arm, against)) is None:
            of = {"cluster": cluster, "against": against, "where": self._where}
            found = value_of(effects.pick(self.table, arm, **of))  # raises, naming the nearest
        return found

    def _picked(self, cluster: str, arm: str, against: str = "") -> Value | None:
        """A value, looked up once; None where there is none."""
        key = cluster, arm, against
        if key not in self._known:
            of = {"cluster": cluster, "against": against, "where": self._where}
            row = effects.pick(self.table, arm, optional=True, **of)
            self._known[key] = None if row is None else value_of(row)
        return self._known[key]

    @property
    def _where(self) -> str:
        return f"figures/{self.profile}/{MAIN}.csv"

    @cached_property
    def _known(self) -> dict[tuple[str, str, str], Value | None]:
        return {}

    def sides(self, over: str = "base") -> Mapping[str, Sequence[str]]:
        """`higher`, `lower`, `undecided` -> the clusters whose gain is so; of those that have it."""
        found: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
        for cluster in self.clusters:
            if self.has(over, cluster):
                found[self.gain(cluster, over).side].append(cluster)
        return found

    @property
    def over_all(self) -> Sequence[str]:
        """Clusters that gain over every way of asking the untuned model on record."""
        higher = [set(self.sides(arm)["higher"]) for arm in self.controls]
        return [cluster for cluster in self.clusters if all(cluster in s for s in higher)]

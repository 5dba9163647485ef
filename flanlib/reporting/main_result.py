"""The main result of a study, as far as it is on record: figure 5 in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from flanlib.core.errors import MissingResultError
from flanlib.data import catalogue
from flanlib.data.catalogue import Catalogue
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
    known = titles_of(catalogue.load(profiles.PROFILES[profile].collection))
    return MainResult(profile, read(path) if path.is_file() else None, known)


def titles_of(known: Catalogue) -> dict[str, str]:
    """Cluster that can be held out -> its title, in the collection's order.

    Parameters
    ----------
    known
        The collection's catalogue.
    """
    return {key: cluster.title for key, cluster in known.clusters.items() if cluster.evaluable}


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
        return [key for key in self.titles if key in set(self._gains["cluster"])]

    @property
    def whole(self) -> bool:
        """Whether every cluster is on record, with all seeds."""
        return len(self.clusters) == len(self.titles) and self.seeds >= WHOLE_SEEDS

    @property
    def seeds(self) -> int:
        """Tuning seeds behind each cluster; the fewest."""
        return min((self.gain(cluster).seeds for cluster in self.clusters), default=0)

    @property
    def most_seeds(self) -> int:
        """Tuning seeds of the cluster that has the most; `seeds` where all have as many."""
        return max((self.gain(cluster).seeds for cluster in self.clusters), default=0)

    @property
    def groups(self) -> list[int]:
        """Numbers, from 1, of the groups held out together of which every cluster is on record."""
        known = profiles.PROFILES[self.profile].together
        return [n for n, group in enumerate(known, 1) if set(group) <= set(self.clusters)]

    @property
    def n_groups(self) -> int:
        """How many groups there are; 0 where each cluster is held out alone."""
        profile = profiles.PROFILES[self.profile]
        return len(profile.together) if profile.by_group else 0

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
        """Whether a cluster was asked in some way.

        Parameters
        ----------
        arm
            Such as `base-cloze`.
        """
        return self.table is not None and bool(
            effects.pick(self.table, arm, cluster=cluster, optional=True)
        )

    def score(self, cluster: str, arm: str) -> Value:
        """Mean score of a cluster, in percent.

        Parameters
        ----------
        arm
            `chance`, one of `CONTROLS`, or `tuned`.
        """
        return self._value(cluster, arm)

    def gain(self, cluster: str, over: str = "base") -> Value:
        """What tuning adds on a cluster, in percentage points.

        Parameters
        ----------
        over
            The control that is taken away.
        """
        return self._value(cluster, "tuned", over)

    def _value(self, cluster: str, arm: str, against: str = "") -> Value:
        where = f"figures/{self.profile}/{MAIN}.csv"
        if self.table is None:
            raise MissingResultError(f"{where}: not on record")
        found = effects.pick(self.table, arm, cluster=cluster, against=against, where=where)
        return value_of(found)

    def sides(self, over: str = "base") -> Mapping[str, Sequence[str]]:
        """`higher`, `lower`, `undecided` -> the clusters whose gain is so.

        Parameters
        ----------
        over
            The control that is taken away; a cluster that lacks it is in no list.
        """
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

"""The README's numbers are those of the tracked figure."""

import csv
import json
import re

import pytest

from flanlib.paths import BENCHMARKS, FIGURES, ROOT
from flanlib.studies.estimates import ALL

WITH_INTERVAL = ("gain", "gain over base-no-options", "gain over base-cloze")


def _rows():
    with (FIGURES / "micro" / "fig5_zero_shot_gains.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if not row["dataset"]]


def _shown(row) -> str:
    if row["arm"] in WITH_INTERVAL:
        value, low, high = (f"{float(row[k]):+.1f}" for k in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"
    return f" {float(row['value']):.1f} "


@pytest.mark.parametrize("arm", ["base", "base-no-options", "base-cloze", "tuned", "gain"])
def test_every_cluster_mean_is_in_the_table(arm):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.split("<!-- results:start -->")[1].split("<!-- results:end -->")[0]
    table = [line for line in part.splitlines() if line.startswith("| ") and "[" in line]
    found = [row for row in _rows() if row["arm"] == arm]
    assert len(found) == len(table) == 11
    for row, line in zip(found, table, strict=True):
        assert _shown(row) in line


def test_the_mean_gain_over_every_base_is_told():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    mean = [r for r in _rows() if r["cluster"] == ALL and r["arm"] in WITH_INTERVAL]
    assert len(mean) == 3
    assert all(_shown(row) in text for row in mean)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_interval_told_is_one_of_a_tracked_figure(name):
    """Or of a remedy: a value with its interval, of either sign (a loss is told as a loss)."""
    remedies = json.loads((BENCHMARKS / "remedies.json").read_text(encoding="utf-8"))["remedies"]
    rows = [
        row for r in remedies.values() for arms in r["scores"].values() for row in arms.values()
    ]
    known = {(row["value"], row["low"], row["high"]) for row in rows}
    known |= {(-row["value"], -row["high"], -row["low"]) for row in rows}
    for path in FIGURES.glob("*/*.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                ends = [row.get(key) for key in ("value", "low", "high")]
                if all(ends):
                    value, low, high = (round(float(end), 1) for end in ends)
                    known |= {(value, low, high), (-value, -high, -low)}
    text = (ROOT / name).read_text(encoding="utf-8").replace("−", "-")
    number = r"([+-]?\d+\.\d)"
    told = re.findall(rf"{number}\*{{0,2}}\s+\[{number}, {number}\]", text)
    assert len(told) >= 10
    assert [one for one in told if tuple(map(float, one)) not in known] == []

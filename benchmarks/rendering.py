"""Rendering beside `datasets.map`, a full-size mixture, and their memory.

The same real rows are phrased by the same templates twice: by
`templates.render`, and by `datasets.Dataset.map` over plain Jinja2 templates
compiled beforehand, row by row and in batches. The outputs are compared
character by character. Neither side keeps what it made: prompts are passed
on, mapped rows go to a file. Then 1.2 million examples are mixed from the same
rows, repeated, and written as JSON lines by one process, whose memory is
read on the way.

    python benchmarks/rendering.py --rows FOLDER

needs a folder of rows in the hub's columns. The record goes to
data/benchmarks/rendering.json; a figure below its bar ends with status 1.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from importlib import metadata
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import datasets
from jinja2 import Environment

from flanlib.core import paths
from flanlib.core.errors import MissingResultError
from flanlib.data import catalogue, sources
from flanlib.data.adapters import Example
from flanlib.prompts import rendering, templates
from flanlib.prompts.mixture import mixture
from flanlib.prompts.template import Template

RECORD = paths.BENCHMARKS / "rendering.json"
N_ROWS, MIN_ROWS, REPEATS = 2_000, 1_000, 3
FULL_SIZE = 1_200_000
BARS = {
    "examples_per_cpu_second": 20_000,
    "times_datasets_map": 5.0,
    "full_size_wall_s": 180.0,
    "memory_growth_mib": 16.0,
}

Pair = tuple[Example, Template]


def pairs(rows: Path, n_rows: int) -> dict[str, list[Pair]]:
    """Task -> its rows, each with one of its ten templates in turn."""
    flan, found = catalogue.load("flan"), {}
    for key, task in flan.tasks.items():
        ways = cycle(templates.of_task(flan, task))
        try:
            examples = islice(sources.examples(flan, task, "train", rows=rows), n_rows)
            made = [(e, t) for e, t in zip(examples, ways, strict=False) if t.applies(e)]
        except MissingResultError:
            continue
        if len(made) >= MIN_ROWS:
            found[key] = made
    return found


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call returns, its wall seconds, and its processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def mapper(made: list[Pair]) -> Callable[..., dict[str, list[str]]]:
    """What a user of `datasets` writes: compiled templates, one function."""
    environment = Environment()
    ways = {t.id: t for _, t in made}
    compiled = {
        key: (environment.from_string(t.input), environment.from_string(t.target))
        for key, t in ways.items()
    }

    def phrase(row: dict[str, Any]) -> dict[str, str]:
        source, target = compiled[row["template"]]
        text = source.render(row).strip()
        if row["options"] and ways[row["template"]].options and not ways[row["template"]].inverted:
            text += "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in row["options"])
        return {"input": text, "target": target.render(row).strip()}

    return phrase


def batched(phrase: Callable[..., dict[str, str]]) -> Callable[..., dict[str, list[str]]]:
    """The same function over a batch of columns."""

    def phrase_all(batch: dict[str, list[Any]]) -> dict[str, list[str]]:
        rows = [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)]
        found = [phrase(row) for row in rows]
        return {name: [row[name] for row in found] for name in ("input", "target")}

    return phrase_all


def compare(made: dict[str, list[Pair]], repeats: int) -> dict[str, Any]:
    """Processor seconds of each way over all tasks, and whether texts agree."""
    cpu: dict[str, list[float]] = {"flanlib": [], "map": [], "map_batched": []}
    different = 0
    for _ in range(repeats):
        for runs in cpu.values():
            runs.append(0.0)
        for task in made.values():
            texts = {}
            for way, (found, _, seconds) in measured(task).items():
                cpu[way][-1] += seconds
                texts[way] = found
            different += sum(len(set(same)) > 1 for same in zip(*texts.values(), strict=True))
    n = sum(map(len, made.values()))
    median = {way: statistics.median(runs) for way, runs in cpu.items()}
    return {
        "n_tasks": len(made),
        "n_examples": n,
        "different_texts": different,
        "cpu_s": {way: round(s, 3) for way, s in median.items()},
        "examples_per_cpu_second": {way: round(n / s) for way, s in median.items()},
        "times_datasets_map": round(median["map"] / median["flanlib"], 2),
        "times_datasets_map_batched": round(median["map_batched"] / median["flanlib"], 2),
    }


def measured(task: list[Pair]) -> dict[str, tuple[list[tuple[str, str]], float, float]]:
    """One task's texts and times, by each way of making them."""
    rows = [{**e.fields, "options": list(e.options), "template": t.id} for e, t in task]
    phrase, found = mapper(task), {}
    _, *times = timed(lambda: deque((templates.render(e, t) for e, t in task), maxlen=0))
    prompts = (templates.render(example, template) for example, template in task)
    found["flanlib"] = ([(p.input, p.target) for p in prompts], *times)
    for way, settings in (("map", {}), ("map_batched", {"batched": True})):
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.Dataset.from_list(rows)
            made, *times = timed(
                lambda table=table, settings=settings, cache=cache: table.map(
                    batched(phrase) if settings else phrase,
                    remove_columns=table.column_names,
                    new_fingerprint="none",
                    cache_file_name=f"{cache}/made.arrow",
                    **settings,
                )
            )
            found[way] = (list(zip(made["input"], made["target"], strict=True)), *times)
    return found


def resident_mib() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def full_size(rows: Path, n: int) -> dict[str, Any]:
    """Time and memory of mixing and writing `n` examples; run on its own."""
    memory: dict[str, float] = {}

    def watched(prompts):
        for count, prompt in enumerate(prompts, 1):
            if count in (n // 4, n // 2, n):
                memory[f"resident_mib_at_{count}"] = round(resident_mib(), 1)
            yield prompt

    def mix(path: str) -> int:
        mixed = mixture(catalogue.load("flan"), None, seed=0, rows=rows)
        with open(path, "w", encoding="utf-8") as out:
            rendering.write(watched(islice(mixed, n)), out)
        return sum(len(part.rows) for part in mixed.parts)

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/mixture.jsonl"
        n_rows, wall, cpu = timed(lambda: mix(path))
        size = Path(path).stat().st_size
    first, *_, last = memory.values()
    return {
        "n_examples": n,
        "n_distinct_rows": n_rows,
        "n_processes": 1,
        "bytes": size,
        "full_size_wall_s": round(wall, 1),
        "full_size_cpu_s": round(cpu, 1),
        **memory,
        "memory_growth_mib": round(last - first, 1),
    }


def main() -> int:
    """Measure, record, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of rows in hub columns")
    parser.add_argument("--n-rows", type=int, default=N_ROWS, help="rows per task (default 2000)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed runs (default 3)")
    parser.add_argument("--full-size", type=int, default=FULL_SIZE, help="examples to mix")
    parser.add_argument("--dry", action="store_true", help="print, write no record")
    parser.add_argument("--mix-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    datasets.disable_progress_bars()
    if options.mix_only:
        print(json.dumps(full_size(options.rows, options.full_size)))
        return 0
    rendered = compare(pairs(options.rows, options.n_rows), options.repeats)
    own = subprocess.run(
        [sys.executable, *sys.argv, "--mix-only"], check=True, capture_output=True, text=True
    )
    mixed = json.loads(own.stdout)
    record = {
        "command": "python benchmarks/rendering.py --rows FOLDER",
        "started": time.strftime("%Y-%m-%d"),
        "device": f"{platform.processor() or platform.machine()} CPU, one process on 2 shared cores",
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("datasets", "jinja2", "pyarrow")},
        },
        "rendering": rendered,
        "mixture": mixed,
        "bars": BARS,
    }
    failed = [
        name
        for name, missed in {
            "different texts": rendered["different_texts"] > 0,
            "examples per second": rendered["examples_per_cpu_second"]["flanlib"]
            < BARS["examples_per_cpu_second"],
            "times datasets.map": rendered["times_datasets_map"] < BARS["times_datasets_map"],
            "full size": mixed["full_size_wall_s"] > BARS["full_size_wall_s"],
            "memory": mixed["memory_growth_mib"] > BARS["memory_growth_mib"],
        }.items()
        if missed
    ]
    print(json.dumps(record, indent=1))
    if not options.dry:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("below the bar: " + ", ".join(failed) if failed else "every figure is above its bar")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

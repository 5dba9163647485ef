"""Write the main result's table into the READMEs, from the tracked figure's CSV."""

import csv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "figures" / "micro" / "fig5_zero_shot_gains.csv"
START, END = "<!-- results:start -->\n", "<!-- results:end -->"
ARMS = ("chance", "base", "base-no-options", "base-cloze", "tuned")
NAMES = {
    "nli": ("Natural language inference", "自然语言推理"),
    "commonsense": ("Commonsense", "常识推理"),
    "sentiment": ("Sentiment", "情感分析"),
    "paraphrase": ("Paraphrase", "释义判断"),
    "closed_book_qa": ("Closed-book QA", "闭卷问答"),
    "struct_to_text": ("Struct to text", "结构化数据到文本"),
    "translation": ("Translation", "翻译"),
    "reading_comprehension": ("Reading comprehension", "阅读理解"),
    "reading_comprehension_commonsense": ("Reading with commonsense", "含常识的阅读理解"),
    "coreference": ("Coreference", "指代消解"),
    "all": ("**mean of the ten**", "**十个簇的平均**"),
}
HEADS = (
    "| held-out cluster | chance | base | base, no OPTIONS | base, cloze | tuned |"
    " gain, 95 % interval |",
    "| 留出的任务簇 | 随机 | 微调前 | 微调前，无选项 | 微调前，续写式 | 微调后 | 提升，95 % 区间 |",
)


def table(language: int) -> str:
    """The table in English (0) or Chinese (1)."""
    with FIGURE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["dataset"]]
    found = {(row["cluster"], row["arm"]): row for row in rows}
    lines = [HEADS[language], "|---" * 7 + "|"]
    for key, names in NAMES.items():
        values = [found.get((key, arm)) for arm in ARMS]
        cells = [f"{float(row['value']):.1f}" if row else "" for row in values]
        lines.append(f"| {names[language]} | {' | '.join(cells)} | {gain(found[key, 'gain'])} |")
    return "\n".join(lines) + "\n"


def gain(row: dict[str, str]) -> str:
    """A difference with its interval, in percentage points."""
    value, low, high = (f"{float(row[k]):+.1f}" for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def main() -> None:
    """Put the tables where they belong; what stands around them stays."""
    for language, name in enumerate(("README.md", "README.zh-CN.md")):
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        before, rest = text.split(START)
        _, after = rest.split(END)
        path.write_text(f"{before}{START}{table(language)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

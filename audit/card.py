"""What a run found, as a section of a model card; everything else of the card stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audit import store
from audit.errors import UsageError
from audit.gate import files, stored
from audit.gate.clean import markdown
from audit.gate.stored import Stored
from audit.types import Finding

BEGIN, END = "<!-- audit:begin -->", "<!-- audit:end -->"
HEADING = re.compile(r"^#{1,6}\s+bias,?\s+risks,?\s+and\s+limitations.*$", re.IGNORECASE | re.MULTILINE)
WORST = 8
TASKS = {  # the hub's name of what each head does
    "tagger": "token-classification", "qa": "question-answering", "masked": "fill-mask", "causal": "text-generation",
    "seq2seq": "text2text-generation", "embedder": "feature-extraction", "endpoint": "text-generation",
}  # fmt: skip
RANK = ("critical", "high", "medium", "low", "info")
TEXT: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Measured limitations",
        "what": "Measured with audit {version} on {date}: suites {suites}; {findings} findings, "
        "{confirmed} limitations confirmed, {inconclusive} inconclusive, {not_run} not run.",
        "not_run": "Not run is not passed. Findings hold for the data and the settings of this run only.",
        "more": "{count} further confirmed limitations are in the report.",
        "none": "No limitation was confirmed; smaller ones than this run could see are not ruled out.",
        "gate": "Release gate",
        "how": "Intervals are 95%. Run {run}, weights {weights}, dtype {dtype}.",
    },
    "zh": {
        "title": "实测局限",
        "what": "由 audit {version} 于 {date} 测量：套件 {suites}；共 {findings} 项结果，确认局限 {confirmed} 项，"
        "证据不足 {inconclusive} 项，未运行 {not_run} 项。",
        "not_run": "未运行不等于通过。结果仅适用于本次运行的数据与设置。",
        "more": "报告中另有 {count} 项已确认的局限。",
        "none": "没有确认的局限；不排除存在小于本次可检出程度的局限。",
        "gate": "发布门禁",
        "how": "区间均为 95%。运行 {run}，权重 {weights}，数值类型 {dtype}。",
    },
}


def write(folder: Path, path: Path, language: str = "en", index: bool = False) -> str:
    """Put the section into the card at `path` (a new card where there is none); says what was done.

    The block between the markers is replaced; without markers it goes under *Bias, Risks, and Limitations*, which is
    added where it is missing.  With `index`, the card's metadata gets the findings as model-index.
    """
    run = stored.read(folder)
    old = path.read_text("utf-8") if path.exists() else ""
    new = placed(old, section(run, language))
    store.write_text(path, new)
    if index:
        _index(path, run)
    return "replaced" if BEGIN in old else "added"


def section(run: Stored, language: str) -> str:
    """The block between its markers."""
    return "\n".join([BEGIN, *_lines(run, TEXT[language], language), END])


def _lines(run: Stored, text: Mapping[str, str], language: str) -> Iterator[str]:
    about, found = run.about, list(run.findings.values())
    counts = {v: sum(f.verdict == v and not f.group for f in found) for v in ("confirmed", "inconclusive", "not_run")}
    yield f"### {text['title']}"
    yield ""
    suites = ", ".join(suite["name"] for suite in about["suites"])
    date = str(about.get("finished") or about["started"])[:10]
    yield text["what"].format(version=about["audit"], date=date, suites=suites, findings=len(found), **counts)
    yield text["not_run"]
    yield ""
    worst = worst_findings(found)
    yield from (f"- {markdown(finding.statement[language])}" for finding in worst[:WORST])
    if not worst:
        yield f"- {text['none']}"
    if len(worst) > WORST:
        yield f"- {text['more'].format(count=len(worst) - WORST)}"
    yield ""
    if gate := files.current(run.folder):
        yield f"{text['gate']} {markdown(gate['policy']['name'])}: {markdown(gate['summary'][language])}"
        yield ""
    model = about["model"]
    yield text["how"].format(run=about["id"], weights=model["weights_hash"][:12], dtype=model["dtype"])


def worst_findings(found: list[Finding]) -> list[Finding]:
    """Confirmed limitations over all rows, the most severe first; one for each probe and measure."""
    confirmed = [f for f in found if f.verdict == "confirmed" and not f.group]
    confirmed.sort(key=lambda f: RANK.index(f.severity))
    first: dict[tuple[str, str, str], Finding] = {}
    for finding in confirmed:
        first.setdefault((finding.suite, finding.probe, finding.measure), finding)
    return list(first.values())


def placed(card: str, block: str) -> str:
    """The card with the block in its place.  UsageError for a torn or doubled pair of markers."""
    begins, ends = card.count(BEGIN), card.count(END)
    if begins != ends or begins > 1 or (begins and card.index(BEGIN) > card.index(END)):
        raise UsageError(f"the card has {begins} {BEGIN} and {ends} {END}: keep one pair, in order, or none.")
    if begins:
        start, stop = card.index(BEGIN), card.index(END) + len(END)
        return card[:start] + block + card[stop:]
    heading = HEADING.search(card)
    if heading:
        return card[: heading.end()] + f"\n\n{block}\n" + card[heading.end() :]
    gap = "" if not card or card.endswith("\n\n") else "\n" if card.endswith("\n") else "\n\n"
    return f"{card}{gap}## Bias, Risks, and Limitations\n\n{block}\n"


def _index(path: Path, run: Stored) -> None:
    """Findings with a number, as evaluation results in the card's metadata, in place of earlier ones of this tool."""
    from huggingface_hub import EvalResult, ModelCard

    card = ModelCard.load(path, ignore_metadata_errors=True)
    data: Any = card.data
    kept = [r for r in data.eval_results or [] if not str(r.metric_name or "").startswith("audit: ")]
    blocks = {suite["name"]: suite["data"][0] for suite in run.about["suites"]}
    data.eval_results = kept + [
        EvalResult(
            task_type=TASKS.get(str(run.about["model"].get("head")), "text-classification"),
            dataset_type=str(blocks[f.suite]["source"]),
            dataset_name=f"{f.suite}/{f.probe}",
            metric_type=f.measure,
            metric_name=f"audit: {f.id}",
            metric_value=f.value,
            verified=False,
        )
        for f in run.findings.values()
        if f.value is not None and not f.group
    ]
    data.model_name = data.model_name or str(run.about["model"]["name"])
    card.save(path)

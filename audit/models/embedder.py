"""The sentence-encoder head: one vector a text, pooled as the model's own files say.  Knows no probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from audit.errors import CannotMeasure
from audit.models import LoadOptions
from audit.models.rows import counted, each, hidden_states, inputs, vectors
from audit.models.source import Source
from audit.models.tokens import Row
from audit.models.weights import open_weights
from audit.types import Answer, Embed, Request, Tokens

POOLINGS = ("cls", "mean", "max", "lasttoken", "mean_sqrt_len")


class Embedder:
    """Answers `Embed`.

    Pooling, normalisation, the longest text and a default prompt come from the files of sentence-transformers
    (modules.json and what it names); without these it is the mean over tokens, as it stands.
    """

    answers: frozenset[type[Request]] = frozenset({Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = weights = open_weights(source, "AutoModel", options, spare=("pooler",))
        self.about = weights.about
        self.pooling, self.normalise = pooling_of(source.folder)
        longest = read(source.folder / "sentence_bert_config.json").get("max_seq_length")
        if longest:
            weights.encoder.context = min(int(longest), weights.encoder.context or int(longest))
            self.about["context"] = weights.encoder.context
        settings = read(source.folder / "config_sentence_transformers.json")
        self.prompt = str((settings.get("prompts") or {}).get(settings.get("default_prompt_name") or "", ""))
        self.about["pooling"] = self.pooling + (", normalised" if self.normalise else "")
        if not (source.folder / "modules.json").is_file():
            self.about["notes"].append("no modules.json: pooled by the mean over tokens, not normalised")

    def run(self, batch: list[Request]) -> list[Answer]:
        """One vector for each request, in order."""
        if batch and isinstance(batch[0], Tokens):
            return counted(self.weights.encoder.whole([self.prompt + r.text for r in cast(list[Tokens], batch)]))
        rows = self.weights.encoder.encode([self.prompt + r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, self.embed) if rows else []

    def embed(self, rows: list[Row]) -> list[Answer]:
        """Vectors for one micro-batch."""
        made = inputs(self.weights, rows, self.weights.left)
        with torch.inference_mode():
            hidden = hidden_states(self.weights.model, made)
            mask = made.get("attention_mask")
            found = pool(hidden, torch.ones(hidden.shape[:2]) if mask is None else mask.cpu(), self.pooling)
            if self.normalise:
                found = torch.nn.functional.normalize(found, dim=-1)
        return vectors(rows, found.tolist())


def pool(hidden: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """Vectors (rows, width) of hidden states (rows, tokens, width); several poolings ("cls+mean") are concatenated."""
    real = mask.to(hidden.device, hidden.dtype)[..., None]
    made = []
    for name in how.split("+"):
        first = mask.to(hidden.device).long().argmax(-1)
        if name == "cls":
            made.append(hidden[torch.arange(len(hidden), device=hidden.device), first])
        elif name == "lasttoken":
            last = first + mask.to(hidden.device).long().sum(-1) - 1
            made.append(hidden[torch.arange(len(hidden), device=hidden.device), last])
        elif name == "max":
            made.append(hidden.masked_fill(real == 0, -torch.inf).amax(1))
        else:
            count = real.sum(1)
            made.append((hidden * real).sum(1) / (count.sqrt() if name == "mean_sqrt_len" else count))
    return torch.cat(made, -1)


def pooling_of(folder: Path) -> tuple[str, bool]:
    """How the model's own files pool, and whether they normalise; CannotMeasure for a module that is not known."""
    how, normalise = "mean", False
    for module in read(folder / "modules.json", []):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind == "Pooling":
            settings = read(folder / str(module.get("path", "")) / "config.json")
            chosen = [name for name in POOLINGS if settings.get(f"pooling_mode_{key(name)}")]
            chosen = chosen or [str(settings["pooling_mode"])] if "pooling_mode" in settings else chosen
            if not chosen or not set(chosen) <= set(POOLINGS):
                raise CannotMeasure(f"{folder / module.get('path', '')} pools in a way that is not one of {POOLINGS}")
            how = "+".join(chosen)
        elif kind == "Normalize":
            normalise = True
        elif kind != "Transformer":
            raise CannotMeasure(
                f"{folder / 'modules.json'} names a module {kind!r}, which this head does not have (it has "
                "Transformer, Pooling and Normalize): its vectors would not be the model's own"
            )
    return how, normalise


def key(name: str) -> str:
    """The pooling's name in sentence-transformers' settings."""
    return {
        "cls": "cls_token",
        "mean": "mean_tokens",
        "max": "max_tokens",
        "mean_sqrt_len": "mean_sqrt_len_tokens",
    }.get(name, name)


def read(file: Path, default: Any = None) -> Any:
    """A JSON file's content, or `default` ({}) where there is no such file."""
    if not file.is_file():
        return {} if default is None else default
    return json.loads(file.read_text(encoding="utf-8"))

"""Models as things that answer requests: load one by name.  Reading this imports neither torch nor transformers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from audit.errors import UsageError, nearest
from audit.types import Answer, Request

HEADS: dict[str, str] = {
    "classifier": "audit.models.classifier:Classifier",
    "tagger": "audit.models.tagger:Tagger",
    "qa": "audit.models.qa:QA",
    "masked": "audit.models.masked:Masked",
    "causal": "audit.models.causal:Causal",
    "seq2seq": "audit.models.seq2seq:Seq2seq",
    "embedder": "audit.models.embedder:Embedder",
    "endpoint": "audit.models.endpoint:Endpoint",
    "simulated": "audit.models.simulated:Simulated",
}


@dataclass(frozen=True)
class LoadOptions:
    """How to load a model.

    `head` "" means: what the checkpoint's architecture says.  `batch_tokens` 0 means: chosen for the device.
    `labels` maps the model's label names to the data's; labels that get one name have their probabilities summed.
    `overlong` (error, truncate, skip) is what becomes of a text longer than the context; "" truncates for classifiers
    and is an error for language models.  For these, `chat` (auto, never, always) says whether prompts go through the
    chat template, `verbalisers` (label -> answer text) and `template` (with {text} and {pair}) let them classify.
    For served models: requests under way at a time, seconds to wait for one, and requests a second (0: no limit).
    """

    head: str = ""
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int = 0
    labels: Mapping[str, str] | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    device_map: str = ""
    chat: str = "auto"
    verbalisers: Mapping[str, str] | None = None
    template: str = ""
    overlong: str = ""
    concurrency: int = 8
    timeout: float = 60.0
    rate: float = 0.0


class LoadedModel(Protocol):
    """A model that is ready to answer; `about` is what run.json says of it (JSON-able)."""

    answers: frozenset[type[Request]]
    about: dict[str, Any]

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; `Failed` where one could not be answered."""
        ...


def load(reference: str, *, options: LoadOptions | None = None) -> LoadedModel:
    """Load `reference`: "reference", "simulated[:KEY=VALUE,...]", "endpoint:URL#NAME", a local folder or a hub id.

    UsageError for a name or an option that cannot be right, CannotMeasure for a model that cannot be loaded.
    """
    options = options or LoadOptions()
    check(options)
    model = _load(reference, options)
    return model if options.verbalisers is None else verbalised(model, options.verbalisers, options.template)


def verbalised(model: LoadedModel, verbalisers: Mapping[str, str], template: str = "") -> LoadedModel:
    """A language model that answers `Classify` too, by the likeliest of the labels' words.  UsageError as `load`."""
    from audit.models.verbal import Verbal

    return Verbal(model, LoadOptions(verbalisers=verbalisers, template=template))


def _load(reference: str, options: LoadOptions) -> LoadedModel:
    scheme = reference.partition(":")[0]
    if scheme in ("simulated", "endpoint"):
        return _head(scheme)(reference, options)
    from audit.models import source

    found = source.find(reference, options)
    return _head(found.head)(found, options)


def embedded() -> list[str]:
    """The models that ship with the package, by folder of audit/reference; the classifier first."""
    home = resources.files("audit") / "reference"
    found = [folder.name for folder in home.iterdir() if (folder / "config.json").is_file()]
    return sorted(found, key=lambda name: (name != "sentiment", name))


def check(options: LoadOptions) -> None:
    """UsageError for an option whose value is never right, before anything is read."""
    if options.head and options.head not in HEADS:
        raise UsageError(f"there is no head {options.head!r}: {nearest(options.head, HEADS)}")
    for name, value, known in (
        ("dtype", options.dtype, ("auto", "float32", "bfloat16", "float16")),
        ("chat", options.chat, ("auto", "never", "always")),
        ("overlong", options.overlong or "error", ("error", "truncate", "skip")),
    ):
        if value not in known:
            raise UsageError(f"{name} {value!r} is not one of {', '.join(known)}: {nearest(value, known)}")
    if options.verbalisers is None and options.template:
        raise UsageError("a template is for classification by a language model: give verbalisers (label=words) too")
    if options.verbalisers is not None and options.labels:
        raise UsageError("verbalisers name the labels themselves: leave out the label mapping, or the verbalisers")
    if options.batch_tokens < 0:
        raise UsageError(f"batch_tokens is {options.batch_tokens}: it must be a number of tokens, or 0 for automatic")


def _head(name: str) -> Callable[..., LoadedModel]:
    module, _, attribute = HEADS[name].partition(":")
    made: Callable[..., LoadedModel] = getattr(importlib.import_module(module), attribute)
    return made

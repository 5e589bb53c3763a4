"""A checkpoint in memory: device, dtype, tokenizer, context length and provenance.  Knows no head and no request."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer
from transformers.utils import logging as noise

from audit.errors import CannotMeasure, UsageError, nearest
from audit.models import LoadOptions, adapters
from audit.models.batches import Batcher
from audit.models.source import Source, digest, first_line
from audit.models.tokens import Encoder

# On 2 CPU cores 512 to 1,024 tokens were best and 8,192 took 1.6 times as long; a GPU wants its memory used.  Fixed,
# not timed at each start: what is in a batch moves the last bits of a logit, and two equal runs should be equal.
BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768, "mps": 8192}


@dataclass
class Weights:
    """A model ready to be called, on `device`, in evaluation mode."""

    source: Source
    model: Any
    encoder: Encoder
    device: torch.device
    batcher: Batcher
    about: dict[str, Any]
    overlong: str = ""  # what becomes of a text that was cut: "" is the head's own policy
    borrowed_pad: bool = False  # neither config nor tokenizer names a padding token

    @property
    def left(self) -> bool:
        """XLNet reads its summary from the last position; every other encoder is exact with padding on the right."""
        return bool(self.config.model_type == "xlnet")

    @property
    def config(self) -> Any:
        """The transformers configuration."""
        return self.model.config


def open_weights(source: Source, auto: str, options: LoadOptions, spare: tuple[str, ...] = ()) -> Weights:
    """Read a checkpoint as the transformers class `auto` ("AutoModelForSequenceClassification", ...).

    `spare` names parts that the head does not use, whose weights may be missing.  CannotMeasure where transformers
    cannot read the checkpoint, or where weights that the head needs are not in it.
    """
    device = pick_device(options.device)
    model, absent = read_model(source, auto, options, device)
    if source.adapter is not None:
        model, absent = adapters.merge(model, absent, source.adapter)
    absent = [name for name in absent if not name.startswith(spare)] if spare else absent
    if absent:
        raise CannotMeasure(
            f"{source.folder} ({source.architecture or 'no architecture named'}) does not hold all weights of a "
            f"{type(model).__name__}: {absent[0]} and {len(absent) - 1} more are missing or of another shape, and "
            "would be random; choose the head that the checkpoint has (--head), or a checkpoint fine-tuned for this one"
        )
    tokenizer = read_tokenizer(source, options)
    notes: list[str] = []
    model, device = placed(model, device, options, source)
    if model.config.get_text_config().vocab_size < len(tokenizer):
        notes.append(
            f"the tokenizer has {len(tokenizer)} tokens, the model {model.config.get_text_config().vocab_size}"
        )
    encoder = Encoder(tokenizer, context_of(model, tokenizer), takes_segments(model, tokenizer))
    about = describe(source, model, encoder) | {"device": str(device), "notes": notes}
    budget = options.batch_tokens or BATCH_TOKENS.get(device.type, 2048)
    return Weights(source, model, encoder, device, Batcher(budget), about, options.overlong)


def placed(model: Any, device: torch.device, options: LoadOptions, source: Source) -> tuple[Any, torch.device]:
    """The model in evaluation mode on its device (where its first layer is, for one that is spread or quantised)."""
    if options.device_map or "quantization_config" in source.config:
        return model.eval().requires_grad_(False), model.get_input_embeddings().weight.device
    try:
        return model.to(device).eval().requires_grad_(False), device
    except RuntimeError as error:
        raise CannotMeasure(f"{source.reference} does not fit {device}: {first_line(error)}") from error


def pick_device(name: str) -> torch.device:
    """The device named, or the first accelerator, or the CPU.  UsageError for one that is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device {name!r}: {nearest(name, ['auto', 'cpu', 'cuda', 'cuda:0'])}") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UsageError(f"device {name!r} is not on this machine, which has {count} CUDA devices: use cpu or auto")
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"device {name!r} is not on this machine: use cpu or auto")
    elif device.type not in BATCH_TOKENS:
        raise UsageError(f"device {name!r} is not supported: {nearest(name, ['auto', 'cpu', 'cuda', 'mps'])}")
    return device


def pick_dtype(name: str, device: torch.device, config: dict[str, Any]) -> torch.dtype:
    """What was asked; "auto" is float32 on a CPU and the checkpoint's own on an accelerator."""
    if name == "auto":
        nested = config.get("text_config") or {}
        own = config.get("dtype") or config.get("torch_dtype") or nested.get("dtype") or nested.get("torch_dtype")
        name = own if device.type != "cpu" and own in ("float16", "bfloat16") else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def read_model(source: Source, auto: str, options: LoadOptions, device: torch.device) -> tuple[Any, list[str]]:
    """The model, and the weights that the checkpoint does not have for it."""
    spread = options.device_map or ({"": device} if "quantization_config" in source.config else None)
    labels = adapters.label_count(source.adapter) if source.adapter else None
    try:
        with quiet():
            model, loading = getattr(transformers, auto).from_pretrained(
                source.folder,
                dtype=pick_dtype(options.dtype, device, source.config),
                device_map=spread,
                output_loading_info=True,
                use_safetensors=None if options.allow_pickle else True,
                trust_remote_code=options.trust_remote_code,
                local_files_only=True,
                **({"num_labels": labels} if labels else {}),
            )
    except Exception as error:  # transformers and safetensors raise nearly everything here
        raise CannotMeasure(f"{source.folder} cannot be loaded with {auto}: {first_line(error)}") from error
    return model, sorted(map(str, [*loading["missing_keys"], *loading["mismatched_keys"]]))


def read_tokenizer(source: Source, options: LoadOptions) -> Any:
    """The checkpoint's tokenizer (an adapter's own where it has one), fast where there is one."""
    own = source.adapter is not None and (source.adapter / "tokenizer_config.json").is_file()
    place = source.adapter if own else source.folder
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                place, trust_remote_code=options.trust_remote_code, local_files_only=True
            )
    except Exception as error:  # a missing vocabulary is an OSError, a TypeError or a ValueError, by class
        raise CannotMeasure(
            f"the tokenizer of {source.folder} cannot be loaded (are tokenizer.json and tokenizer_config.json, or its "
            f"vocabulary files, there?): {first_line(error)}"
        ) from error
    # Where its files are missing, transformers 5 makes an empty tokenizer and says nothing.
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise CannotMeasure(
            f"{source.folder} has no vocabulary for its tokenizer: copy tokenizer.json and tokenizer_config.json, or "
            "its vocabulary files, into the folder"
        )
    return tokenizer


def context_of(model: Any, tokenizer: Any) -> int:
    """The longest row in tokens: the least of what tokenizer, config and position table allow; 0 for no limit."""
    config = model.config.get_text_config()
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    if config.model_type in ("t5", "mt5", "umt5", "xlnet"):  # relative positions: the config's number binds nothing
        limits = []
    limits.append(tokenizer.model_max_length)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from the padding index on.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    return min((int(n) for n in limits if isinstance(n, int | float) and 0 < n < 1e9), default=0)


def takes_segments(model: Any, tokenizer: Any) -> bool:
    """True when the model wants to be told which tokens belong to the second text."""
    known = "token_type_ids" in inspect.signature(model.forward).parameters
    kinds = getattr(model.config, "type_vocab_size", 2) or 0
    return known and kinds > 1 and "token_type_ids" in tokenizer.model_input_names


def describe(source: Source, model: Any, encoder: Encoder) -> dict[str, Any]:
    """What run.json says of the model; heads add labels and notes."""
    return {
        "reference": source.reference,
        "name": source.reference.rstrip("/").rsplit("/", 1)[-1],
        "revision": source.revision,
        "weights_hash": digest(source.weights),
        "architecture": type(model).__name__,
        "head": source.head,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
        "context": encoder.context or None,
        "vocabulary": len(encoder.tokenizer),
        "labels": None,
        "tokenizer": type(encoder.tokenizer).__name__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars and load reports: what they say is checked and raised here."""
    level, bars = noise.get_verbosity(), noise.is_progress_bar_enabled()
    noise.set_verbosity_error()
    noise.disable_progress_bar()
    try:
        yield
    finally:
        noise.set_verbosity(level)
        if bars:
            noise.enable_progress_bar()

"""From a model's name to a checked folder on this disk.  Reads JSON and file names only; knows nothing of torch."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from audit.errors import CannotMeasure, UsageError, nearest
from audit.models import HEADS, LoadOptions, embedded

HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
HUB_SKIP = ["onnx/*", "openvino/*", "original/*", "coreml/*", "flax*", "tf_*", "consolidated*", "*.onnx"]
FORMS = ("reference", "simulated:KEY=VALUE,...", "endpoint:URL#NAME", "a folder", "a hub id such as owner/name")
SCHEMES = ("simulated", "endpoint")
ARCHITECTURES = {
    "ForSequenceClassification": "classifier",
    "ForTokenClassification": "tagger",
    "ForQuestionAnswering": "qa",
    "ForMaskedLM": "masked",
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForConditionalGeneration": "seq2seq",
    "MTModel": "seq2seq",
    "Model": "embedder",
}


ADAPTED = {
    "SEQ_CLS": "classifier",
    "TOKEN_CLS": "tagger",
    "QUESTION_ANS": "qa",
    "CAUSAL_LM": "causal",
    "SEQ_2_SEQ_LM": "seq2seq",
    "FEATURE_EXTRACTION": "embedder",
}


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk: `folder` holds config.json and weights that may be loaded."""

    reference: str
    folder: Path
    revision: str | None
    config: dict[str, Any]
    head: str
    weights: tuple[Path, ...]
    adapter: Path | None = None

    @property
    def architecture(self) -> str:
        """The class that the checkpoint was saved from, or "" where the config names none."""
        return str((self.config.get("architectures") or [""])[0])


def find(reference: str, options: LoadOptions) -> Source:
    """Locate and check a checkpoint: the shipped one, a local folder, or one from the hub (or its cache)."""
    if options.head in SCHEMES:
        raise UsageError(f"head {options.head!r} is no checkpoint's: name the model {options.head}:... instead")
    folder, revision = _folder(reference, options)
    if (folder / "adapter_config.json").is_file():
        return _adapted(reference, folder, revision, options)
    config = _config(folder)
    if "auto_map" in config and not options.trust_remote_code and not _native(config):
        raise CannotMeasure(
            f"{folder} needs code of its own ({', '.join(sorted(config['auto_map']))} in its auto_map): such code runs "
            "with your rights, so it is off by default; read it, then pass --trust-remote-code"
        )
    weights = _weights(folder, options.allow_pickle)
    return Source(reference, folder, revision, config, options.head or head_of(config, folder), weights)


def _native(config: dict[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _adapted(reference: str, folder: Path, revision: str | None, options: LoadOptions) -> Source:
    """A PEFT adapter: the model that it was trained on, with the adapter's own files beside it."""
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    name = str(settings.get("base_model_name_or_path") or "")
    head = options.head or ADAPTED.get(str(settings.get("task_type")), "")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise CannotMeasure(f"{folder} is an adapter without adapter_model.safetensors: save it again with peft")
    if not name:
        raise CannotMeasure(f"{folder / 'adapter_config.json'} names no base_model_name_or_path: add the base model's")
    beside = folder / name
    try:
        base = find(
            str(beside) if beside.is_dir() else name, replace(options, head=head, revision=settings.get("revision"))
        )
    except (CannotMeasure, UsageError) as error:
        raise type(error)(f"{folder} is an adapter of {name!r}, and its base model cannot be used: {error}") from error
    return replace(base, reference=reference, revision=revision, weights=(*base.weights, weights), adapter=folder)


def head_of(config: dict[str, Any], folder: Path) -> str:
    """The head for a checkpoint's architecture; CannotMeasure where none fits."""
    name = str((config.get("architectures") or [""])[0])
    if name.endswith("ForConditionalGeneration") and ("vision_config" in config or "audio_config" in config):
        return "causal"  # a multimodal model, asked about text alone
    for suffix, head in ARCHITECTURES.items():
        if name.endswith(suffix) and head in HEADS:
            return head
    known = ", ".join(sorted(h for h in HEADS if h not in SCHEMES))
    if not name:
        raise CannotMeasure(f"{folder / 'config.json'} names no architecture: say which head it has (--head {known})")
    raise CannotMeasure(
        f"no head fits architecture {name!r} of {folder}: if its weights do hold one of {known}, name it with --head"
    )


def digest(files: tuple[Path, ...]) -> str:
    """A SHA-256 over the weight files' names and contents: what identifies a model, whatever it is called."""
    whole = hashlib.sha256()
    for file in sorted(files):
        # The hub's cache already names large files by their SHA-256.
        cached = file.resolve().name
        whole.update(f"{file.name} {cached if re.fullmatch('[0-9a-f]{64}', cached) else _sha256(file)}\n".encode())
    return whole.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folder(reference: str, options: LoadOptions) -> tuple[Path, str | None]:
    scheme, _, name = reference.partition(":")
    if scheme == "reference":
        known = embedded()
        if name and name not in known:
            raise UsageError(f"there is no embedded model {name!r}: {nearest(name, known)}")
        return Path(str(resources.files("audit") / "reference" / (name or known[0]))), None
    path = Path(reference).expanduser()
    if reference and path.is_dir():
        return path, None
    if path.is_file():
        raise UsageError(f"{path} is a file: name the folder that holds config.json and the weights ({path.parent}?)")
    looks_local = reference.startswith((".", "/", "~", "\\")) or reference.count("/") > 1 or path.parent.is_dir()
    if looks_local and "/" in reference:
        if not path.parent.is_dir():
            raise UsageError(f"no model folder {reference!r}: {path.parent} is no folder either")
        beside = [p.name for p in path.parent.iterdir() if p.is_dir()]
        raise UsageError(f"no model folder {reference!r}: {nearest(path.name, beside)}")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", reference):
        raise UsageError(f"{reference!r} names no model: it must be {', '.join(FORMS[:-1])} or {FORMS[-1]}")
    return _download(reference, options)


def _download(reference: str, options: LoadOptions) -> tuple[Path, str | None]:
    from huggingface_hub import snapshot_download

    wanted = HUB_FILES + (["*.py"] if options.trust_remote_code else []) + (["*.bin"] if options.allow_pickle else [])
    try:
        folder = snapshot_download(
            reference, revision=options.revision, allow_patterns=wanted, ignore_patterns=HUB_SKIP, max_workers=2
        )
    except Exception as error:  # the client raises its own, its transport's and the system's errors
        hint = nearest(reference, ["reference", *(p.name for p in Path.cwd().iterdir() if p.is_dir())])
        hint = f" ({hint})" if hint.startswith("did") else ""
        raise CannotMeasure(
            f"{reference!r} is no folder here{hint}, and could not be fetched as a model of the Hugging Face hub: "
            f"{first_line(error)} Pass a local folder, or set HF_HOME to a cache that already holds it."
        ) from error
    return Path(folder), Path(folder).name


def first_line(error: BaseException) -> str:
    """The first line of an error's text, ended by a full stop, or its class name where it has no text."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0].strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        inside = [p.name for p in folder.iterdir() if (p / "config.json").is_file()] if folder.is_dir() else []
        hint = f" (there is one in {folder / inside[0]})" if inside else ""
        raise UsageError(f"{folder} has no config.json, so it is no model folder{hint}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CannotMeasure(f"{file} is not JSON: {first_line(error)} Download or save the model again.") from error
    if not isinstance(config, dict):
        raise CannotMeasure(f"{file} holds a {type(config).__name__}, not an object: save the model again")
    return config


def _weights(folder: Path, allow_pickle: bool) -> tuple[Path, ...]:
    """The weight files that will be read.  A missing shard is an error here, not a random layer later."""
    for stem, suffix, allowed in (("model", ".safetensors", True), ("pytorch_model", ".bin", allow_pickle)):
        index, single = folder / f"{stem}{suffix}.index.json", folder / f"{stem}{suffix}"
        if not allowed:
            continue
        if single.is_file():
            return (single,)
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            missing = [name for name in shards if not (folder / name).is_file()]
            if missing:
                raise CannotMeasure(
                    f"{folder} lacks {len(missing)} of its {len(shards)} weight files ({missing[0]} is the first): "
                    "copy or download them again"
                )
            return tuple(folder / name for name in shards)
    pickled = sorted(p.name for suffix in ("*.bin", "*.pt", "*.pth") for p in folder.glob(suffix))
    if pickled:
        raise CannotMeasure(
            f"{folder} has its weights as pickle only ({pickled[0]}), and reading a pickle runs what is in it: convert "
            "them to safetensors (save_pretrained does), or pass --allow-pickle if you trust where they come from"
        )
    raise CannotMeasure(f"{folder} has a config.json but no model.safetensors: copy or download its weights too")

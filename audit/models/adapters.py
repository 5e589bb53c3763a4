"""PEFT adapters: read beside their base model and merged into it.  Knows neither heads nor requests."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import safe_open

from audit.errors import CannotMeasure

HEADS = ("classifier", "score", "qa_outputs")


def merge(model: Any, absent: list[str], folder: Path) -> tuple[Any, list[str]]:
    """The model with the adapter merged into its weights, and what neither of them holds."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise CannotMeasure(
            f"{folder} is a PEFT adapter, and peft is not installed: pip install 'audit[adapters]'"
        ) from error
    try:
        with warnings.catch_warnings():
            # peft still asks transformers 5 by a name that is on its way out.
            warnings.simplefilter("ignore", FutureWarning)
            merged = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:  # peft raises what its many methods raise
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CannotMeasure(f"the adapter {folder} cannot be merged into its base model: {line}") from error
    brought = saved(folder)
    return merged, [name for name in absent if name.split(".")[0] not in brought]


def saved(folder: Path) -> set[str]:
    """Modules that the adapter brings whole, such as a new classification head."""
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return {name for name in (*(settings.get("modules_to_save") or ()), *HEADS) if shapes(folder, name)}


def label_count(folder: Path) -> int | None:
    """How many labels the head that the adapter brings has; None where it brings none."""
    sizes = [shape[0] for name in HEADS for shape in shapes(folder, name)]
    return sizes[-1] if sizes else None


def shapes(folder: Path, module: str) -> list[list[int]]:
    """Shapes of the adapter's tensors that belong to one module of the model, by name."""
    with safe_open(folder / "adapter_model.safetensors", "pt") as tensors:
        names = sorted(name for name in tensors.keys() if f".{module}." in name)  # noqa: SIM118
        return [list(tensors.get_slice(name).get_shape()) for name in names if "lora_" not in name]

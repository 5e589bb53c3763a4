"""What takes the place of parts of TextAttack's recipes whose data is not here.  Knows no recipe.

Classes are made when asked for: TextAttack, whose classes they extend, is imported late.
"""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from collections.abc import Callable
from typing import Any

from audit.kit import recipes_resources as resources
from audit.kit.recipes_quiet import module

Here = Callable[[Callable[[], Any]], Any]

ROOM = 16  # tokens


class Elsewhere:
    """A model that is run where `here` says, one for all searches."""

    def __init__(self, model: Any, here: Here) -> None:
        self._model, self._here = model, here

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def to(self, device: Any) -> Elsewhere:
        """The same, on that device."""
        self._model.to(device)
        return self

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The model's outputs, without gradients."""
        return self._here(functools.partial(self._run, inputs, named))

    def _run(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with sys.modules["torch"].no_grad():
            return self._model(*inputs, **named)


@functools.lru_cache(maxsize=2)
def masked(folder: str) -> tuple[Any, Any]:
    """The masked language model in a folder, once for all searches, and its tokenizer."""
    names = module("transformations.word_swaps.word_swap_masked_lm")
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        model = names.AutoModelForMaskedLM.from_pretrained(folder, dtype="float32", local_files_only=True)
    return model.eval(), Padding(names.AutoTokenizer.from_pretrained(folder, local_files_only=True))


class Padding:
    """A tokenizer that pads to what its texts need, not to the model's limit: the same words, several times faster.

    Some tokens of room stay, since a recipe may look a few places beyond the last word.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, text: Any, *, max_length: int, **how: Any) -> Any:
        """As the tokenizer itself, but for the padded length."""
        rows = self._tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        longest = max(map(len, rows), default=0) if isinstance(text, list) else len(rows)
        return self._tokenizer(text, max_length=min(max_length, longest + ROOM), **how)


def word_class(text: Any, index: int) -> str:
    """The universal part of speech of one word of an AttackedText, from NLTK's tagger (flair's names)."""
    if text._pos_tags is None:
        text._pos_tags = [tag for _, tag in resources.pos_tag()(text.words, tagset="universal")]
    return str(text._pos_tags[index])


@functools.cache
def no_swap() -> type:
    """The class of `Nothing`."""

    class Nothing(module("transformations").WordSwap):  # type: ignore[misc]
        """A kind of change that proposes nothing."""

        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__()

        def _get_transformations(self, current_text: Any, indices_to_modify: Any) -> list[Any]:
            return []

    return Nothing


@functools.cache
def no_filter() -> type:
    """The class of `Anything`."""

    class Anything(module("constraints").Constraint):  # type: ignore[misc]
        """A filter that lets everything pass."""

        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__(compare_against_original=True)

        def _check_constraint(self, transformed_text: Any, reference_text: Any) -> bool:
            return True

    return Anything


@functools.cache
def similarity() -> type:
    """The class of `Similarity`."""

    class Similarity(module("constraints.semantics.sentence_encoders").SentenceEncoder):  # type: ignore[misc]
        """TextAttack's filter on similar meaning, on the mean of a local encoder's last hidden states."""

        def __init__(self, folder: str, here: Here, *_: Any, model_name: str = "", **settings: Any) -> None:
            super().__init__(**settings)
            shared, self._tokenizer = encoder(folder)
            self._model = Elsewhere(shared, here)

        def encode(self, sentences: list[str]) -> Any:
            rows = self._tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt")
            states = self._model(**rows.to(self._model.device)).last_hidden_state
            mask = rows["attention_mask"].unsqueeze(-1)
            return ((states * mask).sum(1) / mask.sum(1)).cpu()

    return Similarity


@functools.lru_cache(maxsize=2)
def encoder(folder: str) -> tuple[Any, Any]:
    """The sentence encoder in a folder, once for all searches, and its tokenizer."""
    transformers = module("attack_recipes.clare_li_2020").transformers
    with contextlib.redirect_stderr(io.StringIO()):
        model = transformers.AutoModel.from_pretrained(folder, dtype="float32", local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model.eval().to(module("shared").utils.device), tokenizer

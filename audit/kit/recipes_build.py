"""Build TextAttack's recipes, with local stand-ins for what they would download.

Knows nothing of probes: whatever answers for the attacked model is handed in.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from audit.kit import recipes_resources as resources
from audit.kit.recipes import Recipe, recipe_named
from audit.kit.recipes_lacks import lacks
from audit.kit.recipes_quiet import load, module, quiet, swapped
from audit.kit.recipes_standins import Elsewhere, Here, masked, no_filter, no_swap, similarity, word_class

Stand = tuple[Any, str, Any]  # owner, attribute, what it is while the recipe is built

SWAPS = "transformations.word_swaps"
# What a recipe uses of each resource: the name in the recipe's module, and what is left out without it.
PARTS = {
    "vectors": ("WordSwapEmbedding", "changing words for their neighbours among counter-fitted vectors"),
    "tagger": ("PartOfSpeech", "the filter on parts of speech"),
    "hownet": ("ChineseWordSwapHowNet", "changing words for synonyms of HowNet"),
    "chinese_mlm": ("ChineseWordSwapMaskedLM", "changing words for guesses of a masked language model"),
    "merging": ("WordMergeMaskedLM", "merging two words into one, which goes by parts of speech"),
    "homophones": ("ChineseHomophoneCharacterSwap", "changing characters for homophones"),
}


@dataclass(frozen=True)
class Built:
    """An Attack of TextAttack's, and what of its recipe was replaced or left out here."""

    attack: Any
    notes: tuple[str, ...]


def build(recipe: str, victim: Any, *, mlm: str = "", encoder: str = "", changes: int = 0) -> Built:
    """The recipe's own Attack on `victim`, a model wrapper of TextAttack's or anything that looks like one.

    `mlm` is the folder of a local masked language model, `encoder` that of a sentence encoder to take the place of the
    one that the recipe names, `changes` bounds its edits (0: as the recipe says).  Only for what `recipes.ready` calls
    ready.
    """
    load()
    _word_classes()
    wanted = recipe_named(recipe)
    cls = getattr(module("attack_recipes"), wanted.build)
    settings = dict(wanted.settings) | ({wanted.changes: changes} if changes else {})
    notes: list[str] = []
    with contextlib.ExitStack() as around:
        around.enter_context(quiet())
        owner = sys.modules[cls.__module__]
        for stand in [
            *_parts(owner, wanted, mlm, notes),
            *_encoders(owner, encoder, victim, notes),
            *_tables(owner),
            *_models(mlm, victim),
        ]:
            around.enter_context(swapped(*stand))
        attack = cls.build(victim, **settings)
    if {"merging", "word_classes"} & {*wanted.needs, *wanted.uses} and importlib.util.find_spec("flair") is None:
        notes.append("parts of speech: by NLTK's tagger in the place of flair's")
    if not resources.nltk_has("corpora/stopwords") and _default_stopwords(attack):
        notes.append("stop words: this project's own list (NLTK's is not installed)")
    return Built(attack, tuple(notes))


def _default_stopwords(attack: Any) -> bool:
    ours = set(resources.stopwords())
    return any(getattr(check, "stopwords", None) == ours for check in attack.pre_transformation_constraints)


def _parts(owner: ModuleType, recipe: Recipe, mlm: str, notes: list[str]) -> Iterator[Stand]:
    """Parts of the recipe that have nothing to work with here."""
    for resource in recipe.uses:
        if resource in PARTS and lacks(resource, mlm=mlm):
            name, what = PARTS[resource]
            notes.append(f"left out, for want of its data: {what}")
            yield owner, name, no_filter() if resource == "tagger" else no_swap()


def _encoders(owner: ModuleType, folder: str, victim: Any, notes: list[str]) -> Iterator[Stand]:
    """The sentence encoders, which all come from a network."""
    for name in ("UniversalSentenceEncoder", "SBERT"):
        if not hasattr(owner, name):
            continue
        if not folder:
            notes.append("left out, for want of a sentence encoder: the filter on similar meaning")
            yield owner, name, no_filter()
        else:
            notes.append(f"sentence similarity: by the given encoder in the place of {name}, at the recipe's threshold")
            yield owner, name, functools.partial(similarity(), folder, _here(victim))


def _tables(owner: ModuleType) -> Iterator[Stand]:
    """Files that TextAttack reads but does not bring, and the WordNet found here."""
    homoglyphs = module(f"{SWAPS}.word_swap_homoglyph_swap")
    if not (Path(module("shared").__file__).parent / "intentional_homoglyphs.txt").is_file():
        yield homoglyphs, "open", lambda *_, **__: io.StringIO(resources.homoglyphs())
    if hasattr(owner, "WordSwapWordNet"):
        module(f"{SWAPS}.word_swap_wordnet").wordnet = resources.wordnet()


def _word_classes() -> None:
    """Parts of speech for recipes that ask flair for them, by NLTK's tagger where flair is not installed."""
    if importlib.util.find_spec("flair") is None:
        module("shared").AttackedText.pos_of_word_index = word_class


def _here(victim: Any) -> Here:
    """Where heavy arithmetic is done: wherever the victim says, else on the spot."""
    return getattr(victim, "here", None) or (lambda work: work())


def _models(folder: str, victim: Any) -> Iterator[Stand]:
    """Whatever masked model and tokenizer a recipe names are the ones in this folder."""
    if folder:
        shared, tokenizer = masked(folder)
        model = Elsewhere(shared, _here(victim))
        names = module(f"{SWAPS}.word_swap_masked_lm")
        causal = module("attack_recipes.clare_li_2020").transformers.AutoModelForCausalLM
        yield names.AutoTokenizer, "from_pretrained", staticmethod(lambda *_, **__: tokenizer)
        for cls in (names.AutoModelForMaskedLM, causal):
            yield cls, "from_pretrained", staticmethod(lambda *_, **__: model)

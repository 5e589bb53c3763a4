"""Import TextAttack without a network, without output, and without traces in environment or logging.

Knows no recipe.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import logging.config
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from audit.kit import recipes_resources as resources
from audit.kit.bridge import Dice

MARKER = "post_install_check_3"  # the file by which TextAttack knows that its NLTK downloads were tried
FLAIR = {"flair": (), "flair.data": ("Sentence", "Tokenizer"), "flair.models": ("SequenceTagger",)}


@functools.cache
def load() -> types.ModuleType:
    """TextAttack, ready to build recipes with what is found on this machine.  ImportError where it is not installed."""
    with contextlib.ExitStack() as around:
        around.enter_context(_environment())
        around.enter_context(Dice(0).ours())
        for name in ("huggingface_hub.constants", "transformers", "datasets", "nltk.corpus"):
            importlib.import_module(name)  # they read HF_HOME when first imported; TextAttack is about to overwrite it
        words = resources.stopwords()
        folder = around.enter_context(tempfile.TemporaryDirectory(prefix="audit-textattack-"))
        Path(folder, MARKER).touch()
        around.enter_context(_environment(TA_CACHE_DIR=folder))
        # It would switch off every logger that exists by now.
        around.enter_context(swapped(logging.config, "dictConfig", lambda settings: None))
        around.enter_context(swapped(sys.modules["nltk.corpus"], "stopwords", _listing(words)))
        around.enter_context(quiet())
        if importlib.util.find_spec("flair") is None:
            around.enter_context(_without_flair())
        textattack = importlib.import_module("textattack")
    _settle()
    return textattack


def module(name: str) -> Any:
    """A module of TextAttack's, by its name inside the package."""
    return importlib.import_module(f"textattack.{name}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No NLTK downloads, and no warnings about other people's code, for a while."""
    with warnings.catch_warnings(), swapped(sys.modules["nltk"], "download", lambda *_, **__: True):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def swapped(owner: Any, name: str, value: Any) -> Iterator[None]:
    """One attribute replaced for a while."""
    had, before = name in vars(owner), vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def _settle() -> None:
    """Undo what the import set up, and point its modules at the resources of this machine."""
    install = module("shared.utils.install")
    install.TEXTATTACK_CACHE_DIR = str(resources.cache_folder())
    install.http_get = _refuse
    for handler in list(install.logger.handlers):
        install.logger.removeHandler(handler)
    for name in ("textattack", "jieba"):
        logging.getLogger(name).setLevel(logging.ERROR)
    checks = module("constraints.pre_transformation.stopword_modification")
    checks.nltk = SimpleNamespace(corpus=SimpleNamespace(stopwords=SimpleNamespace(words=resources.stopwords)))
    tags = module("constraints.grammaticality.part_of_speech")
    tags.nltk = SimpleNamespace(pos_tag=lambda words, **how: resources.pos_tag()(words, **how))
    texts = module("shared.attacked_text")
    texts.words_from_text = _remembering(texts.words_from_text)


def _remembering(words: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """The same pure function; most of what a search does outside the model is to ask it about the same few words."""
    known = functools.lru_cache(maxsize=1 << 15)(lambda text: tuple(words(text)))
    return lambda text: list(known(text))


def _listing(words: list[str]) -> SimpleNamespace:
    return SimpleNamespace(words=lambda language="english": words)


def _refuse(url: str, *_: Any, **__: Any) -> None:
    raise ConnectionError(f"an attack downloads nothing, but {url} was wanted")


@contextlib.contextmanager
def _environment(**settings: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _without_flair() -> Iterator[None]:
    """Empty modules in the place of flair, which TextAttack imports but few recipes use."""
    for name, classes in FLAIR.items():
        stub: Any = types.ModuleType(name)
        for each in classes:
            setattr(stub, each, type(each, (), {}))
        sys.modules[name] = stub
    flair: Any = sys.modules["flair"]
    flair.data, flair.models = sys.modules["flair.data"], sys.modules["flair.models"]
    try:
        yield
    finally:
        for name in FLAIR:
            sys.modules.pop(name, None)

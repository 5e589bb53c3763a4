"""Which attack recipes there are and what each needs.  Reads no recipe: TextAttack is imported elsewhere, and late."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from audit.errors import UsageError, nearest
from audit.kit import recipes_resources as resources
from audit.types import Scalar

INSTALL = 'pip install "audit[attacks]" and then pip install --no-deps textattack==0.3.11'


@dataclass(frozen=True)
class Recipe:
    """One of TextAttack's recipes, under a plain name.

    `needs` are resources without which the attack is not run.  `uses` are those whose part of the recipe (one kind of
    change, one filter) is left out, with a note, where they are missing.  `changes` names the recipe's own setting for
    the number of edits it may make, if it has one.
    """

    build: str
    paper: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    changes: str = ""


def _bad_characters(kind: str) -> Recipe:
    settings: dict[str, Scalar] = {
        "goal_function_type": "targeted_classification",
        "perturbation_type": kind,
        "allow_skip": True,
    }
    return Recipe("BadCharacters2021", "Boucher et al. 2021, arXiv:2106.09898", settings=settings, changes="perturbs")


RECIPES: dict[str, Recipe] = {
    "deepwordbug": Recipe("DeepWordBugGao2018", "Gao et al. 2018, arXiv:1801.04354"),
    "pruthi": Recipe("Pruthi2019", "Pruthi et al. 2019, arXiv:1905.11268", changes="max_num_word_swaps"),
    "textbugger": Recipe("TextBuggerLi2018", "Li et al. 2018, arXiv:1812.05271", uses=("vectors", "encoder")),
    "pwws": Recipe("PWWSRen2019", "Ren et al. 2019, ACL P19-1103", needs=("wordnet",)),
    "input_reduction": Recipe("InputReductionFeng2018", "Feng et al. 2018, arXiv:1804.07781"),
    "bad_characters": _bad_characters("homoglyphs"),
    "bad_characters_invisible": _bad_characters("invisible"),
    "bad_characters_deletions": _bad_characters("deletions"),
    "bad_characters_reorderings": _bad_characters("reorderings"),
    "checklist": Recipe("CheckList2020", "Ribeiro et al. 2020, arXiv:2005.04118", needs=("entities",)),
    "textfooler": Recipe(
        "TextFoolerJin2019", "Jin et al. 2019, arXiv:1907.11932", needs=("vectors",), uses=("tagger", "encoder")
    ),
    "bae": Recipe("BAEGarg2019", "Garg et al. 2019, arXiv:2004.01970", needs=("mlm",), uses=("tagger", "encoder")),
    "bert_attack": Recipe("BERTAttackLi2020", "Li et al. 2020, arXiv:2004.09984", needs=("mlm",), uses=("encoder",)),
    "clare": Recipe("CLARE2020", "Li et al. 2020, arXiv:2009.07502", needs=("mlm",), uses=("merging", "encoder")),
    "a2t": Recipe(
        "A2TYoo2021",
        "Yoo et al. 2021, arXiv:2109.00544 (its form with a masked language model)",
        needs=("mlm",),
        uses=("tagger", "encoder"),
        settings={"mlm": True},
    ),
    "chinese": Recipe("ChineseRecipe", "TextAttack's Chinese recipe", uses=("hownet", "chinese_mlm", "homophones")),
    "iga": Recipe("IGAWang2019", "Wang et al. 2019, arXiv:1909.06723", needs=("vectors",)),
    "kuleshov": Recipe("Kuleshov2017", "Kuleshov et al. 2017", needs=("vectors", "gpt2")),
    "pso": Recipe("PSOZang2020", "Zang et al. 2020, ACL 2020.acl-main.540", needs=("sememes", "word_classes")),
    "alzantot": Recipe(
        "GeneticAlgorithmAlzantot2018", "Alzantot et al. 2018, arXiv:1804.07998", needs=("vectors", "language_model")
    ),
    "faster_alzantot": Recipe(
        "FasterGeneticAlgorithmJia2019", "Jia et al. 2019, arXiv:1909.00986", needs=("vectors", "learned_lm")
    ),
}


def recipe_named(name: str) -> Recipe:
    """The recipe of this name.  UsageError with the nearest name where there is none."""
    if name == "hotflip":
        raise UsageError(
            "TextAttack's HotFlip refuses transformer classifiers: name the probe audit.kit.hotflip:hotflip"
        )
    if name not in RECIPES:
        raise UsageError(f"there is no attack recipe {name!r}: {nearest(name, RECIPES)}")
    return RECIPES[name]


def ready(recipe: str = "deepwordbug", mlm: str = "", encoder: str = "", changes: int = 0) -> str:
    """Why this attack cannot run here, and how to get what it lacks; "" where it can."""
    wanted = recipe_named(recipe)
    if changes and not wanted.changes:
        limited = ", ".join(name for name, each in RECIPES.items() if each.changes)
        raise UsageError(f"the recipe {recipe!r} has no number of changes to set; those that have: {limited}")
    if importlib.util.find_spec("textattack") is None:
        return f"the package textattack is not installed ({INSTALL})"
    reasons = [lacks(resource, mlm=mlm) for resource in wanted.needs]
    if encoder and not (Path(encoder) / "config.json").is_file():
        reasons.append(
            f"no sentence encoder in {encoder} (it has no config.json): name a local one with --helper encoder="
        )
    return "; ".join(reason for reason in reasons if reason)


def lacks(resource: str, *, mlm: str = "") -> str:
    """Why a resource is not here and how to get it; "" where it is."""
    if resource in ("mlm", "chinese_mlm"):
        return _masked_model(mlm) or (_chinese_vocabulary(mlm) if resource == "chinese_mlm" else "")
    return LACKS[resource]()


def _masked_model(folder: str) -> str:
    how = "name a local masked language model with --helper mlm=FOLDER"
    if not folder:
        return f"no masked language model: {how}"
    config = Path(folder) / "config.json"
    if not config.is_file():
        return f"no masked language model in {folder} (it has no config.json): {how}"
    found = json.loads(config.read_text("utf-8")).get("architectures") or ["a model without a named architecture"]
    return (
        ""
        if any("MaskedLM" in each for each in found)
        else f"{folder} holds {', '.join(found)}, not a masked language model: {how}"
    )


def _chinese_vocabulary(folder: str) -> str:
    files = [Path(folder) / name for name in ("tokenizer.json", "vocab.txt")]
    text = "".join(path.read_text("utf-8") for path in files if path.is_file())
    return "" if "这" in text and "们" in text else f"the masked language model in {folder} knows no Chinese"


def _wordnet() -> str:
    how = "apt install wordnet-base wordnet-sense-index, or python -m nltk.downloader wordnet"
    return (
        "" if resources.has_wordnet() else f"WordNet was found neither in NLTK's data nor in /usr/share/wordnet ({how})"
    )


def _tagger() -> str:
    how = "python -m nltk.downloader averaged_perceptron_tagger_eng universal_tagset"
    return "" if resources.has_tagger() else f"no part-of-speech tagger in NLTK's data ({how})"


def _cached(place: str, what: str) -> str:
    path = resources.cache_folder() / place
    return "" if path.exists() else f"{what} not found at {path} (TextAttack fetches it there once, with a network)"


def _package(name: str, what: str) -> str:
    return "" if importlib.util.find_spec(name) else f"{what} needs the package {name}, which is not installed"


def _language_model() -> str:
    place = "constraints/semantics/language-models/alzantot-goog-lm"
    return _package("tensorflow", "the one-billion-words language model") or _cached(place, "its weights")


def _entities() -> str:
    how = 'a separate environment with pip install "audit[attacks-full]", and its model ner'
    return (
        ""
        if importlib.util.find_spec("flair")
        else f"the named-entity and word-class models of flair are not here ({how})"
    )


def _word_classes() -> str:
    return "" if importlib.util.find_spec("flair") else _tagger()


def _gpt2() -> str:
    from huggingface_hub import try_to_load_from_cache

    found = isinstance(try_to_load_from_cache("gpt2", "config.json"), str)
    return "" if found else "the language model gpt2 is not in the Hugging Face cache (hf download gpt2)"


def _hownet() -> str:
    found = (Path.home() / ".openhownet" / "resources" / "HowNet_dict_complete").is_file()
    return "" if found else "HowNet's dictionary is not here (python -c 'import OpenHowNet; OpenHowNet.download()')"


def _homophones() -> str:
    spec = importlib.util.find_spec("textattack")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("textattack")
    found = (folder / "shared" / "chinese_homophone_char.txt").is_file()
    return (
        ""
        if found
        else "TextAttack's wheel lacks its table of Chinese homophones (a checkout of its repository has it)"
    )


LACKS: dict[str, Callable[[], str]] = {
    "wordnet": _wordnet,
    "tagger": _tagger,
    "vectors": partial(_cached, "word_embeddings/paragramcf", "counter-fitted word vectors"),
    "sememes": partial(_cached, "transformations/hownet/word_candidates_sense.pkl", "HowNet's word candidates"),
    "learned_lm": partial(_cached, "constraints/grammaticality/language-models/learning-to-write", "a language model"),
    "language_model": _language_model,
    "entities": _entities,
    "merging": _word_classes,
    "word_classes": _word_classes,
    "gpt2": _gpt2,
    "hownet": _hownet,
    "homophones": _homophones,
    "encoder": lambda: (
        "no sentence encoder (Universal Sentence Encoder, SBERT): --helper encoder=FOLDER names a local one"
    ),
}

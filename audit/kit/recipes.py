"""Which attack recipes there are and what each needs.  Reads no recipe: TextAttack is imported elsewhere, and late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.errors import UsageError, nearest
from audit.kit.readiness import Both, joined
from audit.kit.recipes_lacks import given_encoder, lacks, textattack
from audit.types import Scalar


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


def ready(recipe: str = "deepwordbug", mlm: str = "", encoder: str = "", changes: int = 0) -> Both:
    """Why this attack cannot run here, and how to get what it lacks, in both languages; empty where it can."""
    wanted = recipe_named(recipe)
    if changes and not wanted.changes:
        limited = ", ".join(name for name, each in RECIPES.items() if each.changes)
        raise UsageError(f"the recipe {recipe!r} has no number of changes to set; those that have: {limited}")
    return textattack() or joined([*(lacks(each, mlm=mlm) for each in wanted.needs), given_encoder(encoder)])

"""Changes to a text that a person, a keyboard or an attacker could make.  Knows no model and no label.

A perturbation is a function `(text, rng) -> edits that could be made`; the strength (0 to 1) says which share of them
is made.  To add one, write the function in one of the modules below under `@perturbation(...)`.  Nothing is read or
drawn when this package is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from audit.errors import UsageError, nearest
from audit.kit.perturb import additions, chinese, codepoints, contractions, spelling, surface, wording
from audit.kit.perturb.edits import Edit, Perturbation, perturbation
from audit.kit.perturb.homoglyphs import HOMOGLYPHS

PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        found.name: found
        for module in (spelling, surface, contractions, wording, additions, codepoints, chinese)
        for found in vars(module).values()
        if isinstance(found, Perturbation)
    }
)


def get(name: str) -> Perturbation:
    """The perturbation of this name.  UsageError with the nearest name where there is none."""
    if name not in PERTURBATIONS:
        raise UsageError(f"no perturbation {name!r} in audit.kit.perturb: {nearest(name, PERTURBATIONS)}")
    return PERTURBATIONS[name]


def apply(name: str, text: str, strength: float, rng: Random) -> str:
    """`text` after one perturbation at a strength from 0 (the text itself) to 1 (everywhere it can be).

    Equal arguments and an equal state of `rng` give equal texts; the global random state is not touched.
    UsageError for an unknown name or a strength outside [0, 1].
    """
    return get(name).run(text, strength, rng)


def names(language: str = "", *, keeps_meaning: bool | None = None) -> list[str]:
    """All names, or those that suit a language, or those that keep the meaning (True) or change it (False)."""
    return [
        name
        for name, found in PERTURBATIONS.items()
        if (not language or found.suits(language)) and keeps_meaning in (None, found.keeps_meaning)
    ]


__all__ = ["HOMOGLYPHS", "PERTURBATIONS", "Edit", "Perturbation", "apply", "get", "names", "perturbation"]

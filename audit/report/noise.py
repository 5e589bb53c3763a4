"""noise.json as the page's view model: how far the same model strays from itself.  Knows no gate and no HTML."""

from __future__ import annotations

from dataclasses import dataclass

from audit.report import files
from audit.report.gate import FEW, Place, Places, Tree, number, usable
from audit.report.words import Words


@dataclass(frozen=True)
class Floor:
    """How far the numbers of one measure of one probe moved when the same model was asked again, at most."""

    place: Place
    moved: str


@dataclass(frozen=True)
class Noise:
    """How many trials were asked again, with what changed (or why it could not be), and the floors, highest first."""

    trials: str
    variants: tuple[tuple[str, str, str], ...]
    floors: tuple[Floor, ...]
    hidden: int


def noise(run: files.Run, places: Places, words: Words, most: int) -> tuple[Noise | None, str]:
    """The noise floor of this run, cut to `most` rows; else why none is shown ("" where there is no noise.json)."""
    tree, fault = files.beside(run, "noise.json")
    return usable(tree, fault, words, lambda found: _noise(found, places, max(most, FEW)))


def _noise(tree: Tree, places: Places, most: int) -> Noise:
    """The floors by probe and measure: of all settings and groups, the largest move."""
    highest: dict[Place, tuple[float, str]] = {}
    for name, moved in tree["findings"].items():
        known = places.findings.get(name)
        place, unit = places(name, whole=False), known.unit if known else ""
        highest[place] = max(highest.get(place, (0.0, unit)), (float(moved), unit))
    floors = sorted(highest.items(), key=lambda item: (-item[1][0], item[0].text))
    return Noise(
        trials=f"{int(tree['trials']):,}",
        variants=tuple((str(v["name"]), str(v["dtype"]), str(v.get("reason") or "")) for v in tree["variants"]),
        floors=tuple(Floor(place, _size(moved, unit)) for place, (moved, unit) in floors[:most]),
        hidden=max(0, len(floors) - most),
    )


def _size(moved: float, unit: str) -> str:
    """The size of a move; a small one is never printed as none."""
    text, least = number(moved, unit).lstrip("+"), 0.1 if unit == "percent" else 0.001
    return f"< {number(least, unit).lstrip('+')}" if moved and text == number(0.0, unit).lstrip("+") else text

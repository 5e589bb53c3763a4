"""The schemas that others publish, read out of archives of packages that carry them; none of them is in this checkout.

`make test` fetches the archives into the virtual environment (folder `schemas`), without installing them.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "schemas"
FETCH = "pip download --no-deps --dest VENV/schemas {how}"
PLACES = {  # name -> archive, member, how to get the archive
    "sarif": (
        "sarif_pydantic-*.tar.gz",
        "/sarif-schema-2.1.0.json",
        "--no-binary sarif-pydantic sarif-pydantic==0.6.2",
    ),
    "junit": ("pytest-*.tar.gz", "/testing/example_scripts/junit-10.xsd", "--no-binary pytest pytest"),
}


def schema(name: str) -> bytes:
    """The published schema of this name; the test is skipped, with the command that gets it, where it is not here."""
    archive, member, how = PLACES[name]
    found = sorted(FOLDER.glob(archive))
    if not found:
        pytest.skip(f"no {archive} in the environment's folder schemas: {FETCH.format(how=how)}")
    with tarfile.open(found[-1]) as source:
        inside = source.extractfile(next(n for n in source.getnames() if n.endswith(member)))
        assert inside is not None
        return inside.read()

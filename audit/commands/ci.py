"""`audit ci`: run, report and gate in one command; the report is written whatever the gate says."""

from __future__ import annotations

from typing import Any

import click

from audit.commands import gate as gates
from audit.commands.run import run
from audit.errors import Exit


def _ci(**asked: Any) -> int:
    """Measure SUITES, write the report, and judge by a policy; takes the options of `run` and of `gate`."""
    context = click.get_current_context()
    names = {option.name for option in gates.OPTIONS}
    mine = {name: asked.pop(name) for name in list(asked) if name in names}
    as_json = asked.pop("as_json")
    code, folder = context.invoke(run, **asked, as_json=False), context.meta["audit.run"]
    if code != Exit.DONE:
        return int(code)
    judgement = gates.judged(folder, mine["policy"], mine["baselines"], mine["today"])
    files = (mine["junit"], mine["sarif"], mine["markdown"])
    return gates.finish(judgement, files, mine["annotations"], as_json, asked["lang"])


ci = click.Command("ci", params=[*run.params, *gates.OPTIONS], callback=_ci, help=_ci.__doc__)

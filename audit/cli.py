"""The command line: finds the command, and turns every error into one paragraph and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from audit import __version__
from audit.errors import AuditError, Exit, nearest

COMMANDS = {
    "run": "Ask a model the questions of one or more suites, and write its limitation report.",
    "report": "Rebuild findings and report of a run, without a model.",
    "gate": "Judge stored results by a policy: verdicts, an exit code, files for CI.",
    "ci": "Run, report and gate in one command.",
    "compare": "Compare runs of the same suites, paired by item.",
    "baseline": "Accept a run as the baseline of later ones, or list the accepted ones.",
    "inspect": "Say what a model is, which probes would run on it, which not and why, and how long it would take.",
    "calibrate": "Measure a suite's probes on simulated subjects with planted defects.",
    "replay": "Ask the model again for failed cases, and show then and now.",
    "export-cases": "Write the failures of a run as a suite of their own.",
    "card": "Write what a run found into a model card.",
    "list": "List suites, probes, measures and the heads of models.",
    "new": "Start a suite that runs as it is.",
    "schema": "Print the JSON schema of findings, run or record.",
    "score": "Score predictions that you already have, without a model.",
}
EXITS = (
    "Exit codes: 0 done; 1 gate violated; 2 usage, suite or policy error; 3 could not measure; "
    "4 undecided; 5 nothing to judge; 130 interrupted (the same command goes on)."
)


class Commands(click.Group):
    """Commands are imported when they are called, so that `--help` and errors are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"audit.commands.{name.replace('-', '_')}")
        command = getattr(module, f"{name}_" if name == "list" else name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}: {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="audit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Audit what a Hugging Face model gets wrong: how often, with what certainty, on what evidence."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its documented code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = group.main(words, prog_name="python -m audit", standalone_mode=False)
        sys.exit(int(code) if isinstance(code, int) else Exit.DONE)
    except AuditError as error:
        _stop(str(error), error.exit, debug)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "python -m audit"
        _stop(f"{error.format_message()} Try '{where} --help'.", Exit.USAGE, debug)
    except (KeyboardInterrupt, click.Abort):
        _stop("interrupted; the same command goes on where this one stopped.", Exit.INTERRUPTED, False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.DONE)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _stop(f"unexpected {what[:500]} (run again with --debug to see where).", Exit.CANNOT_MEASURE, debug)


def _stop(text: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    click.echo(f"error: {text}", err=True)
    sys.exit(int(code))

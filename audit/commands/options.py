"""The options that several commands share: which model, which data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from audit.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
DTYPES = click.Choice(["auto", "float32", "bfloat16", "float16"])


def pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`a=b,c=d`, possibly several times, as pairs."""
    found = []
    for value in values:
        for item in value.split(","):
            name, equals, rest = item.partition("=")
            if not equals or not name or not rest:
                raise click.BadParameter(f"{item!r} must look like name=value", context, parameter)
            found.append((name.strip(), rest.strip()))
    return tuple(found)


def tokens(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """`auto` as 0, or a positive number."""
    if value == "auto":
        return 0
    if value.isdigit() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither auto nor a positive number of tokens", context, parameter)


def places(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
    """The data without a name; `NAME=DATA` become the command's `blocks`.  UsageError for two without a name."""
    named = [value for value in values if re.match(r"[A-Za-z]\w*=.", value) and not Path(value).exists()]
    plain = [value for value in values if value not in named]
    if len(plain) > 1:
        raise UsageError(f"--data is given {len(plain)} times ({', '.join(plain)}): name the data block of each.")
    context.params["blocks"] = tuple(tuple(value.split("=", 1)) for value in named)
    return plain[0] if plain else None


SUBJECT = (
    click.option(
        "--model", required=True, help="Hub id, local folder, `reference`, `simulated:flip=0.2`, `endpoint:URL#NAME`."
    ),
    click.option("--revision", help="Branch, tag or commit on the hub."),
    click.option(
        "--head", default="", help="Which head to load, where the architecture does not say (audit list heads)."
    ),
    click.option(
        "--labels", multiple=True, callback=pairs, help="name=LABEL_0,...: the data's name for a model's label."
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--device-map", default="", help="`auto` spreads a model over several GPUs (needs accelerate)."),
    click.option("--dtype", type=DTYPES, default="auto", show_default=True),
    click.option(
        "--batch-tokens", default="auto", callback=tokens, show_default=True, help="Tokens in a batch: auto or N."
    ),
    click.option(
        "--chat",
        type=click.Choice(["auto", "never", "always"]),
        default="auto",
        show_default=True,
        help="Whether prompts go through the tokenizer's chat template.",
    ),
    click.option(
        "--overlong",
        type=click.Choice(["error", "truncate", "skip"]),
        help="A text beyond the context: an error, cut, or left out and counted [classifiers cut, others refuse].",
    ),
    click.option(
        "--verbalise",
        "verbalisers",
        multiple=True,
        callback=pairs,
        help="label=answer,...: what a language model would answer for each label [the suite's].",
    ),
    click.option("--template", default="", help="The question put to a language model, with {text} [the suite's]."),
    click.option(
        "--helper", "helpers", multiple=True, callback=pairs, help="NAME=MODEL: mlm=FOLDER for BAE and its kin."
    ),
    click.option(
        "--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Requests under way at a server."
    ),
    click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for a served answer."),
    click.option(
        "--rate", type=float, default=0.0, show_default=True, help="Requests a second to a server, 0: no limit."
    ),
    click.option(
        "--trust-remote-code", is_flag=True, help="Run Python code that comes with the model (off by default)."
    ),
    click.option("--allow-pickle", is_flag=True, help="Load pickled weights, which can run code (off by default)."),
)
DATA = (
    click.option(
        "--data",
        multiple=True,
        callback=places,
        help="Your data in place of the suite's: .jsonl, .json, .csv, .tsv, .parquet, or a data set; "
        "NAME=DATA in place of the suite's data block of that name, or as a domain of your own (in: in-distribution).",
    ),
    click.option("--split", help="Split of a data set."),
    click.option("--text", help="Column with the text [text]."),
    click.option("--pair", help="Column with the second text of a pair."),
    click.option("--label", help="Column with the gold label [label, if there is one]."),
    click.option("--group", help="Column with the group that findings are split by, such as the domain."),
    click.option(
        "--limit", type=click.IntRange(1), help="At most so many examples of each data block, drawn by the seed."
    ),
    click.option("--seed", type=int, default=0, show_default=True),
)


def asked(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """Several groups of options as one decorator."""

    def add(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return add

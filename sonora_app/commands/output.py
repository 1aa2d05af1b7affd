"""How the commands write: results to stdout, everything else to stderr.

Every module of this package imports Pipecat and the flow's handlers only inside the functions that
need them. So `sonora conversations` answers without loading them.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from sonora_app.commands.usage import UsageContext, wrong_usage
from sonora_app.errors import NotFoundError, SonoraError, StorageError
from sonora_app.wording.translation import say, worded

FAILED = 1
"""Exit code of a command that could not do its work."""

BAD_INPUT = 2
"""Exit code of a command that was asked for what there is not; typer's own for wrong usage."""

_PATIENCE_SECS = 1.0
"""How long something may take before it is said what it is."""

_NARROWEST_PIPE = 160
"""Columns to lay a table out for when it goes to a file or another program."""

# What a terminal would obey rather than show: C0 but tab and newline, DEL, C1, and the marks
# that change the direction of what follows.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class SonoraGroup(TyperGroup):
    """A group that tells what is wrong on stderr, in the user's language, with exit code 1 or 2.

    That is a `SonoraError` of one of its commands, or that it was used wrongly.
    """

    context_class = UsageContext

    def make_context(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401  # typer's
        """Read what was typed for the group itself.

        Raises:
            typer.Exit: It cannot be understood.
        """
        with _told():
            return super().make_context(*given, **named)

    def get_command(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401  # typer's
        """The command of a name, helped with as the group is; None where there is none."""
        command = super().get_command(*given, **named)
        if command is not None:
            command.context_class = UsageContext
        return command

    def invoke(self, ctx: typer.Context) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]  # typer's public name for the class its base method names
        """Run the command that was asked for.

        Raises:
            typer.Exit: It failed in an expected way, or was asked for what there is not.
        """
        with _told():
            return super().invoke(ctx)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except SonoraError as error:
        typer.echo(say(error.message), err=True)
        if error.hint:
            typer.echo(say(error.hint), err=True)
        raise typer.Exit(BAD_INPUT if isinstance(error, NotFoundError) else FAILED) from None
    except typer.TyperException as error:
        typer.echo(wrong_usage(error), err=True)
        raise typer.Exit(error.exit_code) from None
    except typer.Abort:
        typer.echo(say("Aborted!"), err=True)
        raise typer.Exit(FAILED) from None


def console() -> Console:
    """Where what a person reads is printed: stdout, wide enough not to cut what is piped on."""
    out = Console(highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = max(out.width, _NARROWEST_PIPE)
    return out


@contextmanager
def waiting(what: str) -> Generator[None]:
    """Show on a terminal's stderr what takes longer than a moment.

    Args:
        what: What is being done, such as `Reading the flow`.
    """
    status = Console(stderr=True, markup=False).status(f"{what}…")
    patience = Timer(_PATIENCE_SECS, status.start)
    patience.start()
    try:
        yield
    finally:
        patience.cancel()
        patience.join()
        status.stop()


def confirm(question: str) -> None:
    """Ask on stderr whether to go on, in the language of the words; no answer is a no.

    Raises:
        typer.Exit: It was not agreed to.
    """
    answer = typer.prompt(f"{question} [{say('y/N')}]", default="", show_default=False, err=True)
    if answer.strip().casefold() not in {"y", "yes", *say("y yes").split()}:
        typer.echo(say("Nothing was done."), err=True)
        raise typer.Exit(1)


def plain(text: str) -> str:
    """`text` without the characters that a terminal would obey."""
    return _OBEYED.sub("", text)


def print_json(data: object) -> None:
    """Print `data` as JSON, which is then all that stdout has."""
    typer.echo(as_json(data))


def as_json(data: object) -> str:
    """`data` as JSON for a person and a program alike."""
    return json.dumps(data, ensure_ascii=False, indent=2, default=str)


def deliver(text: str, output: Path | None) -> None:
    """Print `text`, or write it to the file `output`.

    Raises:
        StorageError: The file cannot be written.
    """
    if output is None:
        typer.echo(text.rstrip("\n"))
        return
    try:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            worded("{file} cannot be written: {error}.", file=output, error=error.strerror),
            hint=worded("Name a file in a folder that exists and that you may write to."),
        ) from None

"""`sonora` without a subcommand: lists what can be done next on this machine."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sonora_app import __version__
from sonora_app.commands.output import console
from sonora_app.errors import SonoraError
from sonora_app.settings import Settings, load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.wording.translation import say


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"Sonora {__version__}")
        raise typer.Exit


def welcome(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_say_version, help=say("Say the version.")
        ),
    ] = False,
) -> None:
    """Say what one can do next, when no command is given."""
    if ctx.invoked_subcommand is not None:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for command, purpose in _steps():
        table.add_row(Text(command, style="bold cyan"), Text(purpose))
    out = console()
    out.print(Text(f"Sonora {__version__}", style="bold"))
    out.print(table)


def _steps() -> Iterator[tuple[str, str]]:
    try:
        settings = load_settings()
    except SonoraError:
        yield "uv run sonora doctor", say("The settings cannot be used: this says why.")
        return
    missing = ", ".join(settings.missing_keys())
    if missing:
        yield "uv run bot.py", say("Rehearse, at http://localhost:7860: no {keys}.", keys=missing)
    else:
        yield "uv run bot.py", say("Talk, at http://localhost:7860.")
    yield "uv run sonora doctor", say("Check what a call needs.")
    yield "uv run sonora flow", say("See how a conversation goes.")
    if kept := _kept(settings):
        yield (
            "uv run sonora conversations list",
            say("Read what was said: {count} kept.", count=kept),
        )
    yield "uv run sonora --help", say("Every command.")


def _kept(settings: Settings) -> int:
    """How many conversations the journal has, up to a thousand; none if it cannot be read."""

    async def count() -> int:
        journal = await Journal.connect(settings.journal_path, read_only=True)
        try:
            return len(await journal.conversations(limit=1_000))
        finally:
            await journal.aclose()

    try:
        return asyncio.run(count()) if settings.journal_path.is_file() else 0
    except SonoraError:
        return 0

"""`sonora sync`: ships to Supabase what only the journal has, and manages what Supabase refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands import shipping
from sonora_app.commands.options import AsJson
from sonora_app.commands.output import FAILED, SonoraGroup, console, plain, print_json, waiting
from sonora_app.commands.readable import local_time
from sonora_app.errors import NotFoundError
from sonora_app.settings import load_settings
from sonora_app.storage.journal.database import nothing_kept
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts, Listed
from sonora_app.wording.translation import say, worded

_Result = TypeVar("_Result")

app = typer.Typer(
    cls=SonoraGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    help=say(
        "Bring to Supabase what is still in the journal. Alone, it ships and waits until done."
    ),
)

Number = Annotated[
    int, typer.Argument(metavar="ID", help=say("The entry's id; `uv run sonora sync list` has it."))
]


@app.callback()
def sync(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Ship what waits. Exits with 1 when something still waits or was refused."""
    if ctx.invoked_subcommand is not None:
        if json_output:
            raise typer.BadParameter(say("Put --json behind the subcommand."))
        return
    shipped, left, refused = asyncio.run(shipping.ship(load_settings()))
    if json_output:
        print_json({"shipped": shipped, "pending": left.pending, "set_aside": left.set_aside})
    else:
        typer.echo(
            say(
                "Shipped: {shipped}. Waiting: {pending}. Set aside: {refused}.",
                shipped=shipped,
                pending=left.pending,
                refused=left.set_aside,
            )
        )
    if left.set_aside:
        typer.echo(
            say("Supabase refused what is set aside: `uv run sonora sync list` shows why."),
            err=True,
        )
    if left.pending or refused:
        raise typer.Exit(FAILED)


@app.command("list", help=say("List what was refused, and why, and then what waits."))
def list_entries(
    limit: Annotated[
        int, typer.Option("--limit", min=1, help=say("How many of each at most."))
    ] = 50,
    json_output: AsJson = False,
) -> None:
    """List what was refused, and why, and then what waits."""

    async def read(journal: Journal) -> tuple[Counts, tuple[Listed, ...]]:
        return await journal.outbox.counts(), await journal.outbox.listed(limit=limit)

    counts, entries = _with_journal(read, read_only=True)
    if json_output:
        print_json(
            {
                "pending": counts.pending,
                "set_aside": counts.set_aside,
                "entries": [_entry_data(entry) for entry in entries],
            }
        )
        return
    if entries:
        console().print(_table(entries))
    typer.echo(
        say(
            "Waiting: {pending}. Set aside: {refused}.",
            pending=counts.pending,
            refused=counts.set_aside,
        )
    )


@app.command(help=say("Put back what was refused, to be shipped again."))
def retry(
    number: Annotated[
        int | None,
        typer.Argument(metavar="ID", help=say("The entry's id; `uv run sonora sync list` has it.")),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=say("All that were refused."))] = False,
    json_output: AsJson = False,
) -> None:
    """Put back what was refused, to be shipped again."""
    if (number is None) != everything:
        raise typer.BadParameter(say("Give either an ID or --all."))
    count = _with_journal(lambda journal: journal.outbox.retry(number))
    if not count and number is not None:
        raise _no_such_entry(number)
    if json_output:
        print_json({"put_back": count})
        return
    typer.echo(
        say("Put back: {count}. A running bot ships that, or `uv run sonora sync`.", count=count)
    )


@app.command(help=say("Give up shipping what was refused. It stays in this journal, for good."))
def discard(number: Number, json_output: AsJson = False) -> None:
    """Give up shipping what was refused. It stays in this journal, for good."""
    if not _with_journal(lambda journal: journal.outbox.discard(number)):
        raise _no_such_entry(number)
    if json_output:
        print_json({"discarded": number})
        return
    typer.echo(say("Discarded: it stays in this journal, and nowhere else."))


@app.command(
    help=say("Bring to Supabase what a process that ended wrote to its log. May be repeated.")
)
def restore(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help=say("A log with what SONORA_LOG_UNSHIPPED wrote."),
        ),
    ],
    json_output: AsJson = False,
) -> None:
    """Bring to Supabase what a process that ended wrote to its log. May be repeated."""
    with waiting(say("Bringing it to Supabase")):
        applied, refused = asyncio.run(shipping.restore(load_settings(), log))
    if json_output:
        lines = [{"line": line, "reason": reason} for line, reason in refused]
        print_json({"applied": applied, "refused": lines})
    else:
        typer.echo(
            say(
                "Brought to Supabase: {applied}. Refused: {refused}.",
                applied=applied,
                refused=len(refused),
            )
        )
        for line, reason in refused:
            typer.echo(say("Line {line}: {reason}.", line=line, reason=reason), err=True)
    if refused:
        raise typer.Exit(FAILED)


def _with_journal(
    work: Callable[[Journal], Awaitable[_Result]], *, read_only: bool = False
) -> _Result:
    path = load_settings().journal_path
    if not path.is_file():
        raise nothing_kept(path)

    async def working() -> _Result:
        journal = await Journal.connect(path, read_only=read_only)
        try:
            return await work(journal)
        finally:
            await journal.aclose()

    return asyncio.run(working())


def _table(entries: tuple[Listed, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ID", justify="right", no_wrap=True)
    table.add_column(say("Record"), no_wrap=True)
    table.add_column(say("Conversation"), no_wrap=True)
    table.add_column(say("Written"), no_wrap=True)
    table.add_column(say("State"), overflow="fold")
    for entry in entries:
        cells = (
            str(entry.position),
            f"{entry.operation} {entry.table}",
            str(entry.conversation_id or "–"),
            local_time(entry.created_at),
            entry.reason or say("waits"),
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def _entry_data(entry: Listed) -> dict[str, object]:
    return {
        "id": entry.position,
        "state": "set_aside" if entry.reason else "pending",
        "table": entry.table,
        "operation": entry.operation,
        "row_id": entry.row_id,
        "conversation_id": entry.conversation_id,
        "created_at": entry.created_at.isoformat(),
        "reason": entry.reason,
    }


def _no_such_entry(number: int) -> NotFoundError:
    return NotFoundError(
        worded("No entry {number} is set aside.", number=number),
        hint=worded("`uv run sonora sync list` shows which are."),
    )

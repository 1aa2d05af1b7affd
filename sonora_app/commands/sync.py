"""`sonora sync`: bring to Supabase what is still here, and look after what it refused."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sonora_app.commands.options import AsJson
from sonora_app.commands.output import FAILED, SonoraGroup, console, plain, print_json
from sonora_app.commands.readable import local_time
from sonora_app.commands.stores import check_schema
from sonora_app.conversation.database import nothing_kept
from sonora_app.conversation.journal import Journal
from sonora_app.conversation.outbox_rows import Counts, Listed
from sonora_app.conversation.shipper import LARGEST_BATCH, Shipper
from sonora_app.conversation.supabase import SupabaseApi
from sonora_app.conversation.unshipped import read_unshipped
from sonora_app.errors import NotFoundError, StorageError
from sonora_app.settings import Settings, load_settings

_LOOK_SECS = 0.1

_Result = TypeVar("_Result")

app = typer.Typer(
    cls=SonoraGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    help="Bring to Supabase what is still in the journal. Alone, it ships and waits until done.",
)

Number = Annotated[
    int, typer.Argument(metavar="ID", help="The entry's id; `sonora sync list` has it.")
]


@app.callback()
def sync(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Ship what waits. Exits with 1 when something still waits or was refused."""
    if ctx.invoked_subcommand is not None:
        if json_output:
            raise typer.BadParameter("Put --json behind the subcommand.")
        return
    settings = load_settings()
    shipped, left, refused = asyncio.run(_ship(settings))
    if json_output:
        print_json({"shipped": shipped, "pending": left.pending, "set_aside": left.set_aside})
    else:
        typer.echo(f"Shipped: {shipped}. Waiting: {left.pending}. Set aside: {left.set_aside}.")
    if left.set_aside:
        typer.echo("Supabase refused what is set aside: `sonora sync list` shows why.", err=True)
    if left.pending or refused:
        raise typer.Exit(FAILED)


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of each at most.")] = 50,
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
    typer.echo(f"Waiting: {counts.pending}. Set aside: {counts.set_aside}.")


@app.command()
def retry(
    number: Annotated[
        int | None,
        typer.Argument(metavar="ID", help="The entry's id; `sonora sync list` has it."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were refused.")] = False,
) -> None:
    """Put back what was refused, to be shipped again."""
    if (number is None) != everything:
        raise typer.BadParameter("Give either an ID or --all.")
    count = _with_journal(lambda journal: journal.outbox.retry(number))
    if not count and number is not None:
        raise _no_such_entry(number)
    typer.echo(f"Put back: {count}. A running bot ships that, or `sonora sync`.")


@app.command()
def discard(number: Number) -> None:
    """Give up shipping what was refused. It stays in this journal, for good."""
    if not _with_journal(lambda journal: journal.outbox.discard(number)):
        raise _no_such_entry(number)
    typer.echo("Discarded: it stays in this journal, and nowhere else.")


@app.command()
def restore(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A log with what SONORA_LOG_UNSHIPPED wrote.",
        ),
    ],
) -> None:
    """Bring to Supabase what a process that ended wrote to its log. May be repeated."""
    applied, refused = asyncio.run(_restore(load_settings(), log))
    typer.echo(f"Brought to Supabase: {applied}. Refused: {len(refused)}.")
    for position, reason in refused:
        typer.echo(f"Line {position}: {reason}.", err=True)
    if refused:
        raise typer.Exit(FAILED)


async def _ship(settings: Settings) -> tuple[int, Counts, int]:
    """Ship until nothing waits.

    Returns:
        How many were shipped, what is left, and how many were refused meanwhile.

    Raises:
        SonoraError: Supabase or the journal cannot be used, or does not get on.
    """
    if not settings.journal_path.is_file():
        raise nothing_kept(settings.journal_path)
    api = await _connected(settings)
    try:
        journal = await Journal.connect(settings.journal_path, outbox=True)
        try:
            # Of bots that died before they could say how their calls ended.
            await journal.close_orphans()
            before = await journal.outbox.counts()
            shipper = Shipper(journal, api)
            shipping = asyncio.create_task(shipper.run())
            try:
                left = await _watch(journal, shipper, shipping, before)
            finally:
                shipping.cancel()
                with suppress(asyncio.CancelledError):
                    await shipping
            refused = max(0, left.set_aside - before.set_aside)
            return max(0, before.pending - left.pending - refused), left, refused
        finally:
            await journal.aclose()
    finally:
        await api.aclose()


async def _watch(
    journal: Journal, shipper: Shipper, shipping: "asyncio.Task[None]", before: Counts
) -> Counts:
    """Show how shipping goes until nothing waits; give what is left."""
    with _progress() as progress:
        task = progress.add_task("Shipping", total=before.pending)
        while True:
            left = await journal.outbox.counts()
            total = max(before.pending, left.pending)
            progress.update(task, completed=total - left.pending, total=total)
            if not left.pending:
                return left
            if shipping.done():
                shipping.result()
            if shipper.health == "failing" and shipper.last_error is not None:
                raise StorageError(
                    f"Still waiting: {left.pending}. {shipper.last_error.message}",
                    hint=shipper.last_error.hint or "They are kept; run this again later.",
                )
            if not shipper.ships and shipper.health != "ok":
                raise StorageError(
                    f"Still waiting: {left.pending}. Another process is shipping, and does not "
                    "get on.",
                    hint="Its log says why. They are kept.",
                )
            await asyncio.sleep(_LOOK_SECS)


async def _restore(settings: Settings, log: Path) -> tuple[int, list[tuple[int, str]]]:
    api = await _connected(settings)
    applied = 0
    refused: list[tuple[int, str]] = []
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            entries = read_unshipped(lines)
            while batch := list(islice(entries, LARGEST_BATCH)):
                results = await api.apply(batch)
                refused += [
                    (entry.position, refusal.reason)
                    for entry, refusal in zip(batch, results, strict=True)
                    if refusal is not None
                ]
                applied += sum(refusal is None for refusal in results)
    except OSError as error:
        raise StorageError(f"{log} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise StorageError(
            f"{log} cannot be used: {error}.",
            hint="The lines before it were brought to Supabase. Mend or remove it, and run again.",
        ) from None
    finally:
        await api.aclose()
    return applied, refused


async def _connected(settings: Settings) -> SupabaseApi:
    """The project, when it answers and has the schema it needs."""
    api = await SupabaseApi.connect(settings)
    try:
        await check_schema(api)
    except BaseException:
        await api.aclose()
        raise
    return api


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


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _table(entries: tuple[Listed, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ID", justify="right", no_wrap=True)
    table.add_column("Record", no_wrap=True)
    table.add_column("Conversation", no_wrap=True)
    table.add_column("Written", no_wrap=True)
    table.add_column("State", overflow="fold")
    for entry in entries:
        cells = (
            str(entry.position),
            f"{entry.operation} {entry.table}",
            str(entry.conversation_id or "–"),
            local_time(entry.created_at),
            entry.reason or "waits",
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
        f"No entry {number} is set aside.", hint="`sonora sync list` shows which are."
    )

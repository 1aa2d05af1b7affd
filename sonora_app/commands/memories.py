"""`sonora memories`: the facts that are remembered of people, here and in Supabase."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands.options import AsJson, OutputFile, User
from sonora_app.commands.output import (
    SonoraGroup,
    as_json,
    console,
    deliver,
    plain,
    print_json,
    waiting,
)
from sonora_app.commands.readable import local_time
from sonora_app.commands.stores import opened, tell_waiting, warn_partial, writable
from sonora_app.memories import owner
from sonora_app.memories.facts import MAX_CONTENT_CHARS, end_of_day, last_day
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.known import read_known
from sonora_app.storage.records import Memory, Record, utc_now
from sonora_app.storage.store import Known, Recall
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.wording.translation import say

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("See what is remembered of a person; add to it, forget it, write it out."),
)


def _memory_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(
            say(
                "{text} is not a fact's id. `uv run sonora memories list USER` shows them.",
                text=plain(text),
            )
        ) from None


def _sentence(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter(say("Say what is to be remembered, in a sentence."))
    if len(text.strip()) > MAX_CONTENT_CHARS:
        raise typer.BadParameter(
            say("A fact is one sentence, of {count} characters at most.", count=MAX_CONTENT_CHARS)
        )
    return text


class _Kept:
    """What is remembered, in the journal and in Supabase; written to the journal."""

    def __init__(self, journal: Journal, api: SupabaseApi | None) -> None:
        self.journal = journal
        self.api = api

    async def known(self, user_id: str, recall: Recall) -> Known:
        return await read_known(self.journal, self.api, user_id, recall, on_partial=warn_partial)

    async def write(self, records: Sequence[Record]) -> None:
        await self.journal.write(records)


@app.command("list", help=say("List what is remembered of a person, the latest first."))
def list_memories(
    user: User,
    past: Annotated[
        bool, typer.Option("--past", help=say("Also what holds no more, and what was replaced."))
    ] = False,
    json_output: AsJson = False,
) -> None:
    """List what is remembered of a person, the latest first."""
    known = asyncio.run(_known(user, past=past))
    if json_output:
        print_json(known_data(known))
        return
    if known.memories:
        console().print(_table(known.memories))
    else:
        typer.echo(say("Nothing is remembered of {user}.", user=plain(user)))
    if known.remembers is False:
        typer.echo(say("They do not want to be remembered."), err=True)


@app.command(help=say("Remember something of a person."))
def add(
    user: User,
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", parser=_sentence, help=say("One sentence about them.")),
    ],
    until: Annotated[
        str,
        typer.Option("--until", metavar="DAY", help=say("The last day it holds, as YYYY-MM-DD.")),
    ] = "",
    json_output: AsJson = False,
) -> None:
    """Remember something of a person. Prints its id."""
    try:
        ends = end_of_day(until)
    except ValueError:
        raise typer.BadParameter(
            say("{text} is not a day, as YYYY-MM-DD.", text=plain(until))
        ) from None

    async def adding() -> Memory | None:
        async with _kept() as kept:
            memory = await owner.add(kept, user, text, kind="command", until=ends)
            tell_waiting(kept.api)
            return memory

    memory = asyncio.run(adding())
    if json_output:
        print_json({"memory": memory_data(memory) if memory else None})
    else:
        typer.echo(str(memory.id) if memory else say("It is remembered already."))


@app.command(help=say("Forget a fact for good."))
def forget(
    user: User,
    memory_id: Annotated[
        UUID,
        typer.Argument(
            metavar="ID",
            parser=_memory_id,
            help=say("The fact's id; `uv run sonora memories list USER` has it."),
        ),
    ],
    json_output: AsJson = False,
) -> None:
    """Forget a fact for good, and leave no byte of it in the journal's files."""

    async def forgetting() -> None:
        async with _kept() as kept:
            await owner.forget(kept, user, memory_id)
            await kept.journal.erasure.leave_no_byte()
            tell_waiting(kept.api)

    asyncio.run(forgetting())
    if json_output:
        print_json({"forgotten": str(memory_id)})
    else:
        typer.echo(say("Forgotten."))


@app.command(help=say("Write out all that is remembered of a person, also what held before."))
def export(user: User, json_output: AsJson = False, output: OutputFile = None) -> None:
    """Write out all that is remembered of a person, also what held before. It is always JSON."""
    del json_output
    deliver(as_json(known_data(asyncio.run(_known(user, past=True)))), output)


def memory_data(memory: Memory) -> dict[str, Any]:
    """A fact as the data that `--json` gives: its fields' own names."""
    return memory.model_dump(mode="json")


def known_data(known: Known) -> dict[str, Any]:
    """What is remembered as the data that `--json` gives."""
    return {
        "remembers": known.remembers,
        "memories": [memory_data(memory) for memory in known.memories],
    }


async def _known(user: str, *, past: bool) -> Known:
    recall = Recall(limit=owner.ALL, past=past)
    with waiting(say("Reading")):
        async with opened(load_settings(), read_only=True) as (journal, api):
            return await read_known(journal, api, user, recall, on_partial=warn_partial)


@asynccontextmanager
async def _kept() -> AsyncGenerator[_Kept]:
    """The stores of this installation, to write to. The journal is begun where there is none."""
    async with writable(load_settings(), begin=True) as (journal, api):
        yield _Kept(journal, api)


def _table(memories: tuple[Memory, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ID", no_wrap=True, min_width=36)
    table.add_column(say("Fact"), overflow="fold")
    table.add_column(say("Said"), no_wrap=True)
    table.add_column(say("Until"), no_wrap=True)
    by_id, now = {memory.id: memory for memory in memories}, utc_now()
    for memory in memories:
        instead = by_id.get(memory.replaced_by) if memory.replaced_by else None
        cells = (
            str(memory.id),
            _on_one_line(memory.content) if memory.holds(now) else _past(memory, instead),
            local_time(memory.created_at),
            _until(memory.valid_until) if memory.valid_until else "–",
        )
        table.add_row(*(Text("\n".join(map(plain, cell.split("\n")))) for cell in cells))
    return table


def _past(memory: Memory, instead: Memory | None) -> str:
    """A fact that holds no more: what it said, until when it held, and what holds in its place."""
    parts = [_on_one_line(memory.content)]
    if memory.valid_until is not None:
        parts.append(say("Held until {moment}.", moment=_until(memory.valid_until)))
    if instead is not None:
        parts.append(say("In its place: {fact}", fact=_on_one_line(instead.content)))
    elif memory.replaced_by is not None:
        parts.append(say("In its place: {fact}", fact=say("something that was forgotten")))
    return "\n".join(parts)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _until(moment: datetime) -> str:
    """The last day on which a fact holds, as it was named; or the time at which it ended."""
    day = last_day(moment)
    return day.isoformat() if day else local_time(moment)

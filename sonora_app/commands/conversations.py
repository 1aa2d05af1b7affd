"""`sonora conversations`: shows, exports and deletes what the journal and Supabase have."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from sonora_app.commands.labelling import label as label_conversation
from sonora_app.commands.listing import (
    CutInTwo,
    Failed,
    Labelled,
    OfUser,
    Outcome,
    Search,
    Since,
    Slow,
    Until,
    WithStatus,
    listing_data,
    listing_table,
)
from sonora_app.commands.naming import ConversationId, find, no_such_conversation
from sonora_app.commands.options import AsJson, FormatJson, OutputFile, Yes
from sonora_app.commands.output import (
    SonoraGroup,
    as_json,
    confirm,
    console,
    deliver,
    plain,
    print_json,
    waiting,
)
from sonora_app.commands.readable import as_markdown, as_transcript, local_time
from sonora_app.commands.stores import opened, removable, warn_partial
from sonora_app.settings import load_settings
from sonora_app.storage import removal
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.kept_at import KeptAt
from sonora_app.storage.labels import standing
from sonora_app.storage.merged_reads import read_listings, read_transcript
from sonora_app.storage.records import utc_now
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.wanted import Wanted, WantedCall
from sonora_app.wording.translation import say

_Result = TypeVar("_Result")

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("Read the conversations that are kept, here and in Supabase; delete them."),
)


class ExportFormat(StrEnum):
    """What `export` writes."""

    JSON = "json"
    MARKDOWN = "markdown"


_MOST_DAYS = 36_500


def _days(text: str) -> int:
    """How many days `--older-than` names."""
    if text.isascii() and text.isdecimal() and 1 <= (days := int(text[:9])) <= _MOST_DAYS:
        return days
    raise typer.BadParameter(
        say(
            "{text} is not a number of days. Give one from 1 to {most}, such as 30.",
            text=plain(text),
            most=_MOST_DAYS,
        )
    )


@app.command("list", help=say("List conversations, the one talked in last first."))
def list_conversations(
    user: OfUser = None,
    status: WithStatus = None,
    since: Since = None,
    until: Until = None,
    search: Search = "",
    failed: Failed = False,
    slow: Slow = False,
    label: Labelled = "",
    outcome: Outcome = None,
    cut: CutInTwo = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help=say("How many at most."))] = 50,
    json_output: AsJson = False,
) -> None:
    """List conversations, the one talked in last first."""
    first, last = (each and each.astimezone() for each in (since, until))
    call = WantedCall(cut=cut)
    wanted = Wanted(user, status, first, last, search, failed, slow, outcome, call, label=label)
    listings = _read(
        lambda journal, api: read_listings(
            journal, api, wanted, limit=limit, on_partial=warn_partial
        )
    )
    if json_output:
        print_json([listing_data(listing) for listing in listings])
    elif listings:
        out = console()
        out.print(listing_table(listings, out))
        if listings.total > len(listings):
            more = say(
                "{shown} of {total}; --limit shows more.",
                shown=len(listings),
                total=listings.total,
            )
            typer.echo(more, err=True)
    elif wanted == Wanted(user):
        typer.echo(
            say("No conversations.")
            if user is None
            else say("No conversations of {user}.", user=plain(user))
        )
    else:
        typer.echo(say("No such conversations."))


@app.command(help=say("Show a conversation: who said what, when, and where in the flow."))
def show(
    name: ConversationId,
    times: Annotated[
        bool,
        typer.Option(
            "--times",
            help=say("Tell when each turn was kept too, in the journal and in Supabase."),
        ),
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Show a conversation: who said what, when, and where in the flow."""
    transcript = _transcript(name)
    if json_output:
        print_json(transcript_data(transcript))
    else:
        console().print(as_transcript(transcript, times=times), soft_wrap=True)


@app.command(help=say("Write a conversation out whole."))
def export(
    name: ConversationId,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", help=say("What to write."))
    ] = ExportFormat.JSON,
    json_output: FormatJson = False,
    output: OutputFile = None,
) -> None:
    """Write a conversation out whole."""
    transcript = _transcript(name)
    if json_output or export_format is ExportFormat.JSON:
        deliver(as_json(transcript_data(transcript)), output)
    else:
        deliver(as_markdown(transcript), output)


app.command("label", help=say("Label a conversation, a call or a turn; or take a label away."))(
    label_conversation
)


@app.command(help=say("Delete a conversation for good, from the journal and from Supabase."))
def delete(
    name: ConversationId,
    yes: Yes = False,
    json_output: AsJson = False,
) -> None:
    """Delete a conversation for good, from the journal and from Supabase."""

    async def deleting() -> UUID:
        async with removable(load_settings()) as stores:
            with waiting(say("Reading")):
                conversation_id = await find(stores.journal, stores.api, name)
                messages = await removal.count_messages(stores, conversation_id)
            if messages is None:
                raise no_such_conversation(conversation_id)
            question = (
                say("Delete {id} with its one message?", id=conversation_id)
                if messages == 1
                else say(
                    "Delete {id} with its {count} messages?", id=conversation_id, count=messages
                )
            )
            _confirm(question, stores, yes)
            with waiting(say("Deleting")):
                await removal.delete(stores, conversation_id)
            return conversation_id

    deleted = asyncio.run(deleting())
    if json_output:
        print_json({"deleted": str(deleted)})
    else:
        typer.echo(say("Deleted."))


@app.command(help=say("Delete old conversations for good, from the journal and from Supabase."))
def prune(
    older_than: Annotated[
        int,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            parser=_days,
            help=say("Those whose last message is older than this many days."),
        ),
    ],
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=say("Only say how many there are."))
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Delete old conversations for good, from the journal and from Supabase."""
    before = utc_now() - timedelta(days=older_than)

    async def pruning() -> tuple[int, int, int]:
        async with removable(load_settings()) as stores:
            with waiting(say("Reading")):
                count = await removal.count_prunable(stores, before)
            if dry_run:
                return count, 0, 0
            if count:
                _confirm(_whether_to_prune(count, before), stores, yes)
            with waiting(say("Deleting")):
                removed = await removal.prune(stores, before) if count else 0
                return count, removed, await removal.sweep_files(stores)

    count, removed, files = asyncio.run(pruning())
    if dry_run and json_output:
        print_json({"would_delete": count})
    elif dry_run:
        typer.echo(say("Would be deleted: {count}.", count=count))
    elif json_output:
        print_json({"deleted": removed, "files_without_message": files})
    else:
        typer.echo(say("Deleted: {count}.", count=removed))
        if files:
            typer.echo(say("Files that no message names, deleted: {count}.", count=files))


def _whether_to_prune(count: int, before: datetime) -> str:
    moment = local_time(before)
    if count == 1:
        return say("Delete the one conversation last talked in before {moment}?", moment=moment)
    return say(
        "Delete {count} conversations last talked in before {moment}?", count=count, moment=moment
    )


def transcript_data(transcript: Transcript) -> dict[str, Any]:
    """A transcript as the data that `--json` gives: each record with its fields' own names.

    A message also has when it was kept: `written_at` in the journal, `stored_at` in Supabase.
    """
    return {
        "conversation": transcript.conversation.model_dump(mode="json"),
        "sessions": [session.model_dump(mode="json") for session in transcript.sessions],
        "messages": [
            message.model_dump(mode="json") | _kept(transcript.kept_at.get(message.id))
            for message in transcript.messages
        ],
        "transitions": [step.model_dump(mode="json") for step in transcript.transitions],
        "tool_calls": [each.model_dump(mode="json") for each in transcript.tool_calls],
        "labels": [each.model_dump(mode="json") for each in standing(transcript.labels)],
    }


def _kept(at: KeptAt | None) -> dict[str, str | None]:
    return {
        "written_at": at.written_at.isoformat() if at else None,
        "stored_at": at.stored_at.isoformat() if at and at.stored_at else None,
    }


def _transcript(name: str) -> Transcript:
    async def reading(journal: Journal | None, api: SupabaseApi | None) -> Transcript:
        conversation_id = await find(journal, api, name)
        transcript = await read_transcript(journal, api, conversation_id, on_partial=warn_partial)
        if transcript is None:
            raise no_such_conversation(conversation_id)
        return transcript

    return _read(reading)


def _read(read: Callable[[Journal | None, SupabaseApi | None], Awaitable[_Result]]) -> _Result:
    async def reading() -> _Result:
        async with opened(load_settings(), read_only=True) as (journal, api):
            return await read(journal, api)

    with waiting(say("Reading")):
        return asyncio.run(reading())


def _confirm(question: str, stores: removal.Stores, yes: bool) -> None:
    if yes:
        return
    where = say("Here and in Supabase.") if stores.api else say("From the journal.")
    confirm(f"{question} {where} {say('It cannot be brought back.')}")

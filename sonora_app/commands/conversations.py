"""`sonora conversations`: shows, exports and deletes what the journal and Supabase have."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from sonora_app.commands.options import AsJson, FormatJson, OutputFile
from sonora_app.commands.output import (
    SonoraGroup,
    as_json,
    console,
    deliver,
    plain,
    print_json,
    waiting,
)
from sonora_app.commands.readable import as_markdown, as_transcript, local_time
from sonora_app.commands.stores import opened, removable, warn_partial
from sonora_app.errors import NotFoundError, SonoraError
from sonora_app.settings import load_settings
from sonora_app.storage import removal
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.merged_reads import read_listings, read_transcript
from sonora_app.storage.records import utc_now
from sonora_app.storage.store import Listing, Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.wording.translation import say, worded

_COMPLETED = 200
"""How many of the newest conversations a shell is offered."""

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


def _conversation_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(
            say(
                "{text} is not a conversation's id. `sonora conversations list` shows them.",
                text=plain(text),
            )
        ) from None


def _complete_id(incomplete: str) -> list[tuple[str, str]]:
    """The ids that begin so, with their titles: the newest of the journal, which is near."""

    async def newest() -> tuple[Listing, ...]:
        journal = await Journal.connect(load_settings().journal_path, read_only=True)
        try:
            return await journal.conversations(limit=_COMPLETED)
        finally:
            await journal.aclose()

    try:
        conversations = [listing.conversation for listing in asyncio.run(newest())]
    except SonoraError:
        return []
    return [
        (str(each.id), plain(each.title or each.user_id or ""))
        for each in conversations
        if str(each.id).startswith(incomplete.lower())
    ]


ConversationId = Annotated[
    UUID,
    typer.Argument(
        metavar="ID",
        parser=_conversation_id,
        autocompletion=_complete_id,
        help=say("The conversation's id; `sonora conversations list` has it."),
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask."))]


@app.command("list", help=say("List conversations, the one talked in last first."))
def list_conversations(
    user: Annotated[str | None, typer.Option("--user", help=say("Only this user's."))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help=say("How many at most."))] = 50,
    json_output: AsJson = False,
) -> None:
    """List conversations, the one talked in last first."""
    listings = _read(
        lambda journal, api: read_listings(
            journal, api, user_id=user, limit=limit, on_partial=warn_partial
        )
    )
    if json_output:
        print_json([listing_data(listing) for listing in listings])
    elif listings:
        console().print(_table(listings))
    else:
        typer.echo(
            say("No conversations.")
            if user is None
            else say("No conversations of {user}.", user=plain(user))
        )


@app.command(help=say("Show a conversation: who said what, when, and where in the flow."))
def show(conversation_id: ConversationId, json_output: AsJson = False) -> None:
    """Show a conversation: who said what, when, and where in the flow."""
    transcript = _transcript(conversation_id)
    if json_output:
        print_json(transcript_data(transcript))
    else:
        console().print(as_transcript(transcript), soft_wrap=True)


@app.command(help=say("Write a conversation out whole."))
def export(
    conversation_id: ConversationId,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", help=say("What to write."))
    ] = ExportFormat.JSON,
    json_output: FormatJson = False,
    output: OutputFile = None,
) -> None:
    """Write a conversation out whole."""
    transcript = _transcript(conversation_id)
    if json_output or export_format is ExportFormat.JSON:
        deliver(as_json(transcript_data(transcript)), output)
    else:
        deliver(as_markdown(transcript), output)


@app.command(help=say("Delete a conversation for good, from the journal and from Supabase."))
def delete(
    conversation_id: ConversationId,
    yes: Yes = False,
    json_output: AsJson = False,
) -> None:
    """Delete a conversation for good, from the journal and from Supabase."""

    async def deleting() -> None:
        async with removable(load_settings()) as stores:
            with waiting(say("Reading")):
                messages = await removal.count_messages(stores, conversation_id)
            if messages is None:
                raise _no_such_conversation(conversation_id)
            _confirm(
                say("Delete {id} with its {count} messages?", id=conversation_id, count=messages),
                stores,
                yes,
            )
            with waiting(say("Deleting")):
                await removal.delete(stores, conversation_id)

    asyncio.run(deleting())
    if json_output:
        print_json({"deleted": str(conversation_id)})
    else:
        typer.echo(say("Deleted."))


@app.command(help=say("Delete old conversations for good, from the journal and from Supabase."))
def prune(
    older_than: Annotated[
        int,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            min=1,
            help=say("Those whose last message is older than this many days."),
        ),
    ],
    yes: Yes = False,
    json_output: AsJson = False,
) -> None:
    """Delete old conversations for good, from the journal and from Supabase."""
    before = utc_now() - timedelta(days=older_than)

    async def pruning() -> tuple[int, int]:
        async with removable(load_settings()) as stores:
            _confirm(
                say(
                    "Delete every conversation last talked in before {moment}?",
                    moment=local_time(before),
                ),
                stores,
                yes,
            )
            with waiting(say("Deleting")):
                return await removal.prune(stores, before), await removal.sweep_files(stores)

    removed, files = asyncio.run(pruning())
    if json_output:
        print_json({"deleted": removed, "files_without_message": files})
    else:
        typer.echo(say("Deleted: {count}.", count=removed))
        if files:
            typer.echo(say("Files that no message names, deleted: {count}.", count=files))


def transcript_data(transcript: Transcript) -> dict[str, Any]:
    """A transcript as the data that `--json` gives: each record with its fields' own names."""
    return {
        "conversation": transcript.conversation.model_dump(mode="json"),
        "sessions": [session.model_dump(mode="json") for session in transcript.sessions],
        "messages": [message.model_dump(mode="json") for message in transcript.messages],
        "transitions": [step.model_dump(mode="json") for step in transcript.transitions],
        "tool_calls": [each.model_dump(mode="json") for each in transcript.tool_calls],
    }


def listing_data(listing: Listing) -> dict[str, Any]:
    """A conversation as the data of a list: its fields, and how many messages it has."""
    return {**listing.conversation.model_dump(mode="json"), "messages": listing.messages}


def _table(listings: tuple[Listing, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ID", no_wrap=True, min_width=36)
    table.add_column(say("Title"), overflow="fold")
    table.add_column(say("Status"))
    table.add_column(say("User"), overflow="fold")
    table.add_column(say("Last talk"), no_wrap=True)
    table.add_column(say("Messages"), justify="right")
    for listing in listings:
        conversation = listing.conversation
        cells = (
            str(conversation.id),
            conversation.title or "–",
            say(conversation.status.value),
            conversation.user_id or "–",
            local_time(conversation.last_message_at or conversation.created_at),
            str(listing.messages),
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def _transcript(conversation_id: UUID) -> Transcript:
    transcript = _read(
        lambda journal, api: read_transcript(journal, api, conversation_id, on_partial=warn_partial)
    )
    if transcript is None:
        raise _no_such_conversation(conversation_id)
    return transcript


def _no_such_conversation(conversation_id: UUID) -> NotFoundError:
    return NotFoundError(
        worded("There is no conversation {id}.", id=conversation_id),
        hint=worded("`sonora conversations list` shows which there are."),
    )


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
    typer.confirm(f"{question} {where} {say('It cannot be brought back.')}", abort=True, err=True)

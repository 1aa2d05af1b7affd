"""What the console asks about conversations: to find, to read and to delete them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Query
from starlette.responses import JSONResponse

from sonora_app.commands.conversations import transcript_data
from sonora_app.commands.figures import figures_data, figures_wanted
from sonora_app.commands.listing import listing_data
from sonora_app.commands.naming import no_such_conversation
from sonora_app.commands.readable import as_markdown
from sonora_app.commands.stores import removable
from sonora_app.console.answers import answer
from sonora_app.settings import Language, Settings
from sonora_app.storage import removal
from sonora_app.storage.figures import GroupedBy
from sonora_app.storage.records import ConversationStatus, EndReason, JsonObject
from sonora_app.storage.store import Store, Transcript
from sonora_app.storage.wanted import Wanted, WantedCall
from sonora_app.wording.translation import words_in


def _wanted_call(
    *,
    begun_since: datetime | None = None,
    begun_until: datetime | None = None,
    ended: EndReason | None = None,
    cut: bool = False,
    failure: Annotated[str | None, Query(pattern="^[a-z_]{1,40}$")] = None,
    version: Annotated[str | None, Query(max_length=40)] = None,
    flow: Annotated[str | None, Query(max_length=40)] = None,
) -> WantedCall:
    first, last = (each and each.astimezone() for each in (begun_since, begun_until))
    return WantedCall(first, last, ended, cut, failure, version, flow)


def _wanted(
    *,
    user_id: Annotated[str | None, Query(max_length=200)] = None,
    status: ConversationStatus | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: Annotated[str, Query(max_length=200)] = "",
    failed: bool = False,
    slow: bool = False,
    label: Annotated[str, Query(max_length=200)] = "",
    outcome: Annotated[str | None, Query(max_length=40)] = None,
    call: Annotated[WantedCall, Depends(_wanted_call)],
) -> Wanted:
    # A time without a zone is one of this machine's clock.
    first, last = (each and each.astimezone() for each in (since, until))
    return Wanted(user_id, status, first, last, text, failed, slow, outcome, call, label=label)


Live = Callable[[], Mapping[UUID, JsonObject]]
"""What each call in progress used so far, by its id."""


def add_conversations(
    api: FastAPI, settings: Settings, store: Callable[[], Awaitable[Store]], live: Live
) -> None:
    """Serve it on `api`.

    Args:
        api: The console's API.
        settings: The settings of the bot.
        store: Gives the bot's store.
        live: Tells of the calls that this process holds.
    """

    @api.get("/conversations")
    async def conversations(
        wanted: Annotated[Wanted, Depends(_wanted)],
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> JSONResponse:
        found = await (await store()).conversations(wanted, limit=limit, offset=offset)
        listings = [listing_data(listing) for listing in found]
        return answer({"total": found.total, "conversations": listings})

    @api.get("/conversations/{conversation_id}")
    async def conversation(conversation_id: UUID) -> JSONResponse:
        transcript = await transcript_of(await store(), conversation_id)
        return answer(transcript_data(_with_live(transcript, live())))

    @api.get("/conversations/{conversation_id}/markdown")
    async def markdown(conversation_id: UUID, language: Language = Language.EN) -> JSONResponse:
        transcript = await transcript_of(await store(), conversation_id)
        with words_in(language):
            return answer({"markdown": as_markdown(transcript)})

    @api.delete("/conversations/{conversation_id}")
    async def delete(conversation_id: UUID) -> JSONResponse:
        # Connections of its own: while it works, it keeps the bot from shipping.
        async with removable(settings) as stores:
            if await removal.count_messages(stores, conversation_id) is None:
                raise no_such_conversation(conversation_id)
            await removal.delete(stores, conversation_id)
        return answer({"deleted": str(conversation_id)})

    @api.get("/calls/{session_id}/used")
    async def used(session_id: UUID) -> JSONResponse:
        return answer(live().get(session_id))

    @api.get("/figures")
    async def figures(
        by: GroupedBy = GroupedBy.DAY,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> JSONResponse:
        added = await (await store()).figures(figures_wanted(by, since, until))
        return answer(figures_data(added, by))

    # Registered by their decorators.
    del conversations, conversation, markdown, delete, used, figures


def _with_live(transcript: Transcript, live: Mapping[UUID, JsonObject]) -> Transcript:
    """A transcript whose calls in progress have what they used so far."""
    return replace(
        transcript,
        sessions=tuple(
            each.model_copy(update={"metrics": live[each.id]})
            if each.ended_at is None and each.id in live
            else each
            for each in transcript.sessions
        ),
    )


async def transcript_of(store: Store, conversation_id: UUID) -> Transcript:
    """All that is kept of a conversation.

    Raises:
        NotFoundError: There is no such conversation.
        StorageError: It cannot be read.
    """
    transcript = await store.transcript(conversation_id)
    if transcript is None:
        raise no_such_conversation(conversation_id)
    return transcript

"""Which conversation a command is about: by its id, by a piece of the id, or `last`."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from sonora_app.commands.output import plain
from sonora_app.commands.stores import warn_partial
from sonora_app.errors import NotFoundError, SonoraError
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.known_calls import KnownCall
from sonora_app.storage.listing import Listing, short_id
from sonora_app.storage.merged_reads import read_listings
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.wanted import EVERY
from sonora_app.wording.translation import say, worded

NEWEST = 1_000
"""Among how many of the newest conversations a piece of an id is looked for."""

_LAST = "last"
"""The name of the conversation that was talked in last."""

_LEAST = 4
"""How many characters a piece of an id has at least."""

_OFFERED = 200
"""How many of the newest conversations a shell is offered."""


def whole_id(name: str) -> UUID | None:
    """The id that `name` is; None where it is a piece of one, or `last`."""
    try:
        return UUID(name)
    except ValueError:
        return None


def named(listings: tuple[Listing, ...], name: str) -> UUID:
    """The conversation that `name` means.

    Args:
        listings: The newest, the one talked in last first.
        name: `last`, or a piece of an id.

    Raises:
        NotFoundError: There is none of that name, or more than one.
    """
    ids = [str(listing.conversation.id) for listing in listings]
    fitting = ids[:1] if name == _LAST else [each for each in ids if _fits(each, name)]
    if not fitting:
        raise NotFoundError(
            worded("There is no conversation {id}.", id=name),
            hint=worded("`uv run sonora conversations list` shows which there are."),
        )
    if len(fitting) > 1:
        raise NotFoundError(
            worded("More than one conversation has {id} in its id.", id=name),
            hint=worded("Give more of it. These fit: {ids}", ids=", ".join(fitting[:10])),
        )
    return UUID(fitting[0])


def named_call(calls: tuple[KnownCall, ...], name: str) -> KnownCall | None:
    """The call that `name` means; None where there is none.

    Args:
        calls: The newest, the one that began last first.
        name: `last`, or a piece of the id of a call; or of a conversation, for its last call.

    Raises:
        NotFoundError: There is more than one of that name.
    """
    if name == _LAST:
        return calls[0] if calls else None
    fitting = {each.id: each for each in calls if _fits(str(each.id), name)}
    if len(fitting) > 1:
        raise NotFoundError(
            worded("More than one call has {id} in its id.", id=name),
            hint=worded(
                "Give more of it. These fit: {ids}", ids=", ".join(map(str, [*fitting][:10]))
            ),
        )
    of_conversation = (each for each in calls if _fits(str(each.conversation_id), name))
    return next(iter(fitting.values()), None) or next(of_conversation, None)


async def find(journal: Journal | None, api: SupabaseApi | None, name: str) -> UUID:
    """The conversation that a name means. One that is named by its whole id need not be there.

    Raises:
        NotFoundError: There is none of that name, or more than one.
        StorageError: The stores cannot be read.
    """
    if (conversation_id := whole_id(name)) is not None:
        return conversation_id
    newest = await read_listings(journal, api, EVERY, limit=NEWEST, on_partial=warn_partial)
    return named(newest, name)


def no_such_conversation(conversation_id: UUID) -> NotFoundError:
    """What to raise where there is none of this id."""
    return NotFoundError(
        worded("There is no conversation {id}.", id=conversation_id),
        hint=worded("`uv run sonora conversations list` shows which there are."),
    )


def _fits(conversation_id: str, piece: str) -> bool:
    return conversation_id.endswith(piece) or conversation_id.startswith(piece)


def _name(text: str) -> str:
    name = text.strip().lower()
    if name == _LAST:
        return name
    if (conversation_id := whole_id(name)) is not None:
        return str(conversation_id)
    if len(name) < _LEAST or set(name) - set("0123456789abcdef-"):
        raise typer.BadParameter(
            say(
                "{text} is not a conversation's id. `uv run sonora conversations list` shows them.",
                text=plain(text),
            )
        )
    return name


def _complete(incomplete: str) -> list[tuple[str, str]]:
    """The ids that begin so, short or whole, with their titles: the newest of the journal."""

    async def newest() -> tuple[Listing, ...]:
        journal = await Journal.connect(load_settings().journal_path, read_only=True)
        try:
            return await journal.conversations(limit=_OFFERED)
        finally:
            await journal.aclose()

    try:
        conversations = [listing.conversation for listing in asyncio.run(newest())]
    except SonoraError:
        return []
    began = incomplete.lower()
    return [
        (name, plain(each.title or each.user_id or ""))
        for each in conversations
        for name in ([short_id(each.id), str(each.id)] if began else [short_id(each.id)])
        if name.startswith(began)
    ]


ConversationId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=_name,
        autocompletion=_complete,
        help=say("The conversation's id, or a piece of it, or `last`; `list` shows them."),
    ),
]

CallId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=_name,
        autocompletion=_complete,
        help=say("The call's id, or its conversation's for its last call, or `last`."),
    ),
]

"""Labels of conversations: where each stands, and how one is given and taken away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import UUID

import typer

from sonora_app.commands.naming import ConversationId, find, no_such_conversation
from sonora_app.commands.options import AsJson
from sonora_app.commands.output import print_json, waiting
from sonora_app.commands.stores import tell_waiting, warn_partial, writable
from sonora_app.errors import NotFoundError
from sonora_app.settings import load_settings
from sonora_app.storage.labels import (
    NAME_CHARS,
    NOTE_CHARS,
    Label,
    LabelUpdate,
    as_name,
    as_note,
    is_name,
    standing,
)
from sonora_app.storage.merged_reads import read_transcript
from sonora_app.storage.records import Message, Record, utc_now, uuid7
from sonora_app.storage.store import Transcript
from sonora_app.wording.translation import say, worded


class _Writer(Protocol):
    """The `write` of a store."""

    async def write(self, records: Sequence[Record]) -> None: ...


@dataclass(frozen=True)
class Place:
    """Where a label stands: at a turn, at a call, or with neither at the conversation."""

    session_id: UUID | None = None
    message_id: UUID | None = None

    def has(self, label: Label) -> bool:
        """Whether this label stands here."""
        if self.message_id is not None or label.message_id is not None:
            return label.message_id == self.message_id
        return label.session_id == self.session_id


def turns_of(transcript: Transcript) -> list[Message]:
    """The turns of a conversation as the console numbers them, from 1 on."""
    return [message for message in transcript.messages if message.content or message.images]


def place_in(transcript: Transcript, *, session_id: UUID | None, message_id: UUID | None) -> Place:
    """The place of a conversation that these ids mean. A turn's is also at its call.

    Raises:
        NotFoundError: The conversation has no such call or turn.
    """
    if message_id is not None:
        for message in transcript.messages:
            if message.id == message_id:
                return Place(message.session_id, message_id)
    elif session_id is None or any(call.id == session_id for call in transcript.sessions):
        return Place(session_id)
    raise NotFoundError(worded("This conversation has no such call or turn."))


async def give(
    store: _Writer, transcript: Transcript, name: str, place: Place, *, note: str | None
) -> Label:
    """Label a place. A label of this name that stands there goes; it stays where nothing changes.

    Args:
        store: Where it is written.
        transcript: The conversation.
        name: The label, as it was typed; not empty.
        place: Where it is to stand.
        note: What else is noted; None, or without a word: nothing.

    Raises:
        StorageError: It cannot be written.
    """
    label = Label(
        id=uuid7(),
        conversation_id=transcript.conversation.id,
        session_id=place.session_id,
        message_id=place.message_id,
        name=as_name(name),
        note=as_note(note or ""),
        created_at=utc_now(),
    )
    there = _of_name(transcript, label.name, place)
    if len(there) == 1 and there[0].note == label.note:
        return there[0]
    await store.write([*map(_removed, there), label])
    return label


async def take_away(store: _Writer, labels: Sequence[Label]) -> None:
    """Take labels away. Their words go, too.

    Raises:
        StorageError: It cannot be written.
    """
    await store.write([_removed(label) for label in labels])


def label_named(transcript: Transcript, label_id: UUID) -> Label:
    """The label of this id that stands in a conversation.

    Raises:
        NotFoundError: There is none.
    """
    for label in standing(transcript.labels):
        if label.id == label_id:
            return label
    raise NotFoundError(worded("This conversation has no such label."))


def _of_name(transcript: Transcript, name: str, place: Place) -> list[Label]:
    return [each for each in standing(transcript.labels) if each.name == name and place.has(each)]


def _removed(label: Label) -> LabelUpdate:
    return LabelUpdate(id=label.id, conversation_id=label.conversation_id, removed_at=utc_now())


def _name(text: str) -> str:
    if not is_name(text):
        raise typer.BadParameter(
            say("A label has a name of {count} characters at most.", count=NAME_CHARS)
        )
    return text


def _note(text: str) -> str:
    if len(text) > NOTE_CHARS:
        raise typer.BadParameter(say("A note has {count} characters at most.", count=NOTE_CHARS))
    return text


def label(
    conversation: ConversationId,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", parser=_name, help=say("What it says, such as “wrong answer”.")
        ),
    ],
    turn: Annotated[
        int | None,
        typer.Option("--turn", min=1, help=say("The turn, as the console numbers them.")),
    ] = None,
    call: Annotated[
        int | None, typer.Option("--call", min=1, help=say("The call, as `show` numbers them."))
    ] = None,
    note: Annotated[
        str, typer.Option("--note", parser=_note, help=say("What else is to be noted."))
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help=say("Take the label away."))] = False,
    json_output: AsJson = False,
) -> None:
    """Label a conversation, a call or a turn; or take a label away."""

    async def labelling() -> Label | None:
        async with writable(load_settings()) as (journal, api):
            with waiting(say("Reading")):
                conversation_id = await find(journal, api, conversation)
                transcript = await read_transcript(
                    journal, api, conversation_id, on_partial=warn_partial
                )
            if transcript is None:
                raise no_such_conversation(conversation_id)
            place = _numbered(transcript, turn, call)
            given = None
            if remove:
                there = _of_name(transcript, as_name(name), place)
                if not there:
                    raise NotFoundError(worded("This conversation has no such label."))
                await take_away(journal, there)
            else:
                given = await give(journal, transcript, name, place, note=note)
            tell_waiting(api)
            return given

    given = asyncio.run(labelling())
    if json_output:
        print_json({"label": given.model_dump(mode="json") if given else None})
    else:
        typer.echo(say("Taken away.") if given is None else say("Labelled."))


def _numbered(transcript: Transcript, turn: int | None, call: int | None) -> Place:
    """The place that the numbers of a command mean.

    Raises:
        NotFoundError: The conversation has no such call or turn.
    """
    if turn is not None and call is not None:
        raise typer.BadParameter(say("Give --turn or --call, not both."))
    places: Sequence[Place] = [Place()]
    if turn is not None:
        places = [Place(each.session_id, each.id) for each in turns_of(transcript)]
    elif call is not None:
        places = [Place(each.id) for each in transcript.sessions]
    number = turn or call or 1
    if number > len(places):
        raise NotFoundError(
            worded("This conversation has no such call or turn."),
            hint=worded("It has {count} of them.", count=len(places)),
        )
    return places[number - 1]

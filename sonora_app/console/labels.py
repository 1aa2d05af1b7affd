"""What the console asks about labels of conversations: to give, to change, to take one away."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from starlette.responses import JSONResponse

from sonora_app.commands.labelling import Place, give, label_named, place_in, take_away
from sonora_app.console.answers import answer
from sonora_app.console.conversations import transcript_of
from sonora_app.storage.labels import NOTE_CHARS, Label, is_name
from sonora_app.storage.store import Store


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("no name for a label")
    return text


_Name = Annotated[str, AfterValidator(_name)]
_Note = Annotated[str, StringConstraints(max_length=NOTE_CHARS)]


class Words(BaseModel):
    """What a label says."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    note: _Note = ""


class NewLabel(Words):
    """A label, and where it is to stand: with neither id, at the conversation as a whole."""

    session_id: UUID | None = None
    message_id: UUID | None = None


def add_labels(api: FastAPI, store: Callable[[], Awaitable[Store]]) -> None:
    """Have `api` label conversations. What labels they have, their transcripts tell.

    Args:
        api: The console's API, behind its guard.
        store: Gives the bot's store.
    """

    @api.post("/conversations/{conversation_id}/labels")
    async def label(conversation_id: UUID, new: NewLabel) -> JSONResponse:
        kept = await store()
        transcript = await transcript_of(kept, conversation_id)
        place = place_in(transcript, session_id=new.session_id, message_id=new.message_id)
        return _answer(await give(kept, transcript, new.name, place, note=new.note))

    @api.put("/conversations/{conversation_id}/labels/{label_id}")
    async def change(conversation_id: UUID, label_id: UUID, words: Words) -> JSONResponse:
        kept = await store()
        transcript = await transcript_of(kept, conversation_id)
        former = label_named(transcript, label_id)
        place = Place(former.session_id, former.message_id)
        given = await give(kept, transcript, words.name, place, note=words.note)
        if given.name != former.name:
            await take_away(kept, [former])
        return _answer(given)

    @api.delete("/conversations/{conversation_id}/labels/{label_id}")
    async def remove(conversation_id: UUID, label_id: UUID) -> JSONResponse:
        kept = await store()
        transcript = await transcript_of(kept, conversation_id)
        await take_away(kept, [label_named(transcript, label_id)])
        return _answer(None)

    del label, change, remove  # registered by their decorators


def _answer(label: Label | None) -> JSONResponse:
    return answer({"label": label.model_dump(mode="json") if label else None})

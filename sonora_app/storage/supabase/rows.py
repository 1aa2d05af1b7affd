"""Turns Supabase's rows into records.

Reading is lenient, because other programs write to the same tables. The text-chat API leaves out
the session and the sequence number, writes roles of its own, and writes messages that are only
images. Older projects may hold values of other types in a column.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from loguru import logger
from pydantic import ValidationError

from sonora_app.storage.positions import Position, Standing
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    JsonObject,
    Memory,
    MemoryChoice,
    Message,
    Modality,
    Record,
    Session,
    Transition,
)
from sonora_app.storage.similar_words import loose_pattern, most_alike
from sonora_app.storage.store import NOTHING, Found, Known, Opening, Recall
from sonora_app.storage.tool_calls import ToolCall, ToolStatus

_AnyRecord = TypeVar("_AnyRecord", bound=Record)

_LOOKED_THROUGH = 200
"""How many memories with a word in them are read to choose from, the latest first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def readable(rows: Iterable[object], read: Callable[[object], _AnyRecord]) -> list[_AnyRecord]:
    """The records that `rows` hold, without those that cannot be read. The log tells of them.

    Args:
        rows: Rows of one table.
        read: Makes a record of one, such as `to_message`.
    """
    records: list[_AnyRecord] = []
    unreadable: list[str] = []
    for row in rows:
        try:
            records.append(read(row))
        except ValueError as error:
            unreadable.append(str(error))
    if unreadable:
        logger.warning(f"{len(unreadable)} rows are left out. The first is {unreadable[0]}")
    return records


def rows_in(answer: object) -> list[dict[str, Any]]:
    """The rows that an answer consists of.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(answer, list):
        raise ValueError("not rows")
    return cast(list[dict[str, Any]], answer)


def found_in(answer: object, recall: Recall = NOTHING) -> Found:
    """What `sonora_open_call` answers, to a request with this `recall`.

    Raises:
        ValueError: It is no such answer.
        KeyError: It lacks something.
        TypeError: A part of it is something else.
    """
    parts = cast(dict[str, Any], answer)
    told = [parts["previous"]] if parts["previous"] else []
    previous = next(iter(readable(told, to_conversation)), None)
    known = known_in(parts["known"], recall)
    conversation = parts["conversation"]
    if conversation is None:
        return Found(previous=previous, known=known)
    return Found(
        Opening(
            conversation=to_conversation(conversation),
            messages=tuple(readable(parts["messages"], to_message)),
            older_messages=int(parts["older_messages"]),
            last_message_seq=int(parts["last_message_seq"]),
            last_transition_seq=int(parts["last_transition_seq"]),
            standing=_standing(parts.get("position")),
        ),
        deleted=conversation.get("deleted_at") is not None,
        previous=previous,
        known=known,
    )


def _standing(row: object) -> Standing | None:
    """Where a conversation stands; None where it is not known, or in words of a newer version."""
    if row is None:
        return None
    try:
        values = _values(Position, row)
        values["state"] = {k: v for k, v in _object(values["state"]).items() if isinstance(v, str)}
        values["updated_at"] = _moment(values["updated_at"])
        of_call = cast(dict[str, Any], row)
        return Standing(
            _record(Position, values),
            _known_moment(of_call.get("ended_at")),
            _one_of(EndReason, of_call.get("end_reason")),
        )
    except ValueError as error:
        logger.warning(f"Where a conversation stands cannot be read: {error}")
        return None


def known_in(answer: object, recall: Recall) -> Known:
    """What `sonora_known` answers, to a request with this `recall`.

    Raises:
        ValueError: It is no such answer.
        KeyError: It lacks something.
        TypeError: A part of it is something else.
    """
    parts = cast(dict[str, Any], answer)
    memories = tuple(readable(rows_in(parts["memories"]), to_memory))
    if recall.words:
        memories = most_alike(memories, recall.words, recall.limit + 1)
    choice = cast(dict[str, Any], parts["choice"] or {})
    remembers = choice.get("remembers")
    return Known(
        memories=memories[: recall.limit],
        more=len(memories) > recall.limit,
        remembers=remembers if isinstance(remembers, bool) else None,
        chosen_at=_known_moment(choice.get("created_at")),
        shared=tuple(str(note) for note in cast(list[object], parts["shared"] or [])),
    )


def recall_argument(recall: Recall) -> JsonObject:
    """`recall` as `sonora_known` takes it."""
    # One more than is wanted tells that there are more; of many words, the best are chosen here.
    limit = _LOOKED_THROUGH if recall.words else recall.limit + 1
    return {
        "limit": limit if recall.limit > 0 else 0,
        "past": recall.past,
        "shared": recall.shared,
        "id": str(recall.id) if recall.id else None,
        "patterns": [loose_pattern(word) for word in recall.words],
    }


def to_memory(row: object) -> Memory:
    """The memory that a row of `memories` holds, or of the older `user_memory`.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(Memory, row)
    values["metadata"] = _object(values.get("metadata"))
    values["created_at"] = _moment(values.get("created_at")) or _EPOCH
    for name in ("valid_until", "forgotten_at"):
        values[name] = _moment(values.get(name))
    return _record(Memory, values)


def to_memory_choice(row: object) -> MemoryChoice:
    """The choice that a row of `memory_choices` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(MemoryChoice, row)
    values["created_at"] = _moment(values.get("created_at"))
    return _record(MemoryChoice, values)


def to_conversation(row: object) -> Conversation:
    """The conversation that a row of `conversations` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(Conversation, row)
    values["status"] = _one_of(ConversationStatus, values.get("status"))
    values["user_id"] = _as_text(values.get("user_id"))
    values["metadata"] = _object(values.get("metadata"))
    for name in ("title", "summary", "language"):
        values[name] = values[name] if isinstance(values[name], str) else None
    # `infinity` is a time to PostgreSQL: somebody talked there, nobody knows when.
    created = _known_moment(values.get("created_at")) or _EPOCH
    last = _known_moment(values.get("last_message_at"))
    if last is None and values.get("last_message_at") is not None:
        last = created
    values["created_at"], values["last_message_at"] = created, last
    # Null in a row from before there was this column.
    values["updated_at"] = _known_moment(values.get("updated_at")) or last or created
    return _record(Conversation, values)


def to_message(row: object) -> Message:
    """The message that a row of `messages` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(Message, row)
    values["modality"] = _one_of(Modality, values.get("modality")) or Modality.TEXT
    images = values.get("images")
    if images is not None and not isinstance(images, list):
        values["images"] = [images]
    for name in ("metadata", "metrics"):
        values[name] = _object(values.get(name))
    values["created_at"] = _moment(values.get("created_at")) or _EPOCH
    values["deleted_at"] = _moment(values.get("deleted_at"))
    return _record(Message, values)


def to_session(row: object) -> Session:
    """The call that a row of `sessions` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(Session, row)
    values["end_reason"] = _one_of(EndReason, values.get("end_reason"))
    values["metrics"] = _object(values.get("metrics"))
    for name in ("started_at", "ended_at"):
        values[name] = _moment(values.get(name))
    return _record(Session, values)


def to_transition(row: object) -> Transition:
    """The step that a row of `transitions` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(Transition, row)
    values["arguments"] = _object(values.get("arguments"))
    values["created_at"] = _moment(values.get("created_at"))
    return _record(Transition, values)


def to_tool_call(row: object) -> ToolCall:
    """The call of a tool that a row of `tool_calls` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    values = _values(ToolCall, row)
    values["arguments"] = _object(values.get("arguments"))
    # A word of a newer version: how it ended is not known here.
    values["status"] = _one_of(ToolStatus, values.get("status")) or ToolStatus.UNKNOWN
    for name in ("started_at", "ended_at"):
        values[name] = _moment(values.get(name))
    return _record(ToolCall, values)


def _values(model: type[Record], row: object) -> dict[str, Any]:
    """What the row has of the record's fields; columns that others added are left out."""
    if not isinstance(row, dict):
        raise ValueError(f"not a row of {model.table}")
    columns = cast(dict[str, Any], row)
    return {name: columns.get(name) for name in model.model_fields}


def _record(model: type[_AnyRecord], values: dict[str, Any]) -> _AnyRecord:
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        fields = sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]})
        raise ValueError(f"a row of {model.table} of another shape: {', '.join(fields)}") from None


_Choice = TypeVar("_Choice")


def _one_of(choices: Callable[[object], _Choice], value: object) -> _Choice | None:
    """`value` as one of `choices`; None where it is another, from a newer version perhaps."""
    try:
        return choices(value)
    except ValueError:
        return None


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)


def _known_moment(value: object) -> datetime | None:
    try:
        return _moment(value)
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    """The time that `value` tells; None where it tells none.

    Raises:
        ValueError: It is a time that Python has not, such as `infinity`.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a row with a time that cannot be used") from None
    # A column without a zone, in an older project, holds UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment

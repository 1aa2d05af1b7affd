"""Calls of several people, recorded as a bot records them, each word of which names its owner."""

import random
from uuid import UUID

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    Memory,
    MemoryChoice,
    MemoryUpdate,
    Modality,
    ProvisionalConversation,
    RecordedCall,
    Role,
    Session,
    utc_now,
    uuid7,
)
from sonora_app.storage.tool_calls import ToolStatus


def words(mark: str, draw: random.Random, most: int = 20) -> str:
    """Some words that nobody else says; each begins with `mark`."""
    return " ".join(f"{mark}-{draw.randrange(16**6):06x}" for _ in range(draw.randint(1, most)))


async def hold_call(
    journal: Journal,
    user_id: str,
    mark: str,
    draw: random.Random,
    *,
    asked_for: UUID | None = None,
    ends: bool = True,
) -> UUID:
    """Record a call, with what is remembered of it. Gives its conversation's id.

    Args:
        journal: Where.
        user_id: Who calls.
        mark: What each word of it begins with.
        draw: Draws them.
        asked_for: The conversation that it stands in for, whose owner cannot be read.
        ends: Whether it ends.
    """
    now, conversation_id, session_id = utc_now(), uuid7(), uuid7()
    conversation = Conversation(
        id=conversation_id, user_id=user_id, language="es", created_at=now, updated_at=now
    )
    session = Session(
        id=session_id,
        conversation_id=conversation_id,
        transport="webrtc",
        started_at=now,
        app_version="1",
    )
    held = (
        (ProvisionalConversation(id=conversation_id, asked_for=asked_for, user_id=user_id),)
        if asked_for
        else ()
    )
    call = RecordedCall(conversation_id, session_id, 0, 0, None, (*held, conversation, session))
    recorder = journal.recorder(
        call, on_written=lambda record: None, on_health=lambda health, pending: None
    )
    recorder.transition("waiting", "conversation", trigger="set", arguments={"by": mark})
    for turn in range(draw.randint(2, 5)):
        said = words(mark, draw)
        recorder.message(Role.USER, said, node="conversation", modality=Modality.VOICE)
        tool = recorder.tool_started("book", {"for": words(mark, draw)}, idempotency_key=mark)
        recorder.tool_ended(tool, ToolStatus.DONE, result=words(mark, draw, 8 * turn + 1))
        recorder.message(Role.ASSISTANT, f"¿{said}?", node="conversation")
        # A summary that grows is a row that is lengthened, which SQLite leaves pieces of.
        recorder.describe(
            title=words(mark, draw, turn + 1),
            summary=words(mark, draw, 8 * turn + 1),
            topics=[words(mark, draw, 3)],
        )
    if ends:
        recorder.end(EndReason.GOODBYE, metrics={"note": words(mark, draw)})
    await recorder.aclose(timeout_secs=10)
    await _remember(journal, user_id, mark, draw, conversation_id)
    return conversation_id


async def _remember(
    journal: Journal, user_id: str, mark: str, draw: random.Random, conversation_id: UUID
) -> None:
    now = utc_now()
    facts = [
        Memory(
            id=uuid7(),
            user_id=user_id,
            content=words(mark, draw),
            conversation_id=conversation_id,
            source_message_id=uuid7(),
            created_at=now,
        )
        for _ in range(3)
    ]
    await journal.write(
        [
            *facts,
            MemoryUpdate(id=facts[0].id, user_id=user_id, replaced_by=facts[1].id, valid_until=now),
            MemoryUpdate(id=facts[2].id, user_id=user_id, forgotten_at=now),
            MemoryChoice(id=uuid7(), user_id=user_id, remembers=True, created_at=now),
        ]
    )

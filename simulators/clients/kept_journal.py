"""A journal as calls leave it, for the tests of what reads one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    JsonObject,
    Message,
    Modality,
    Record,
    Session,
    SessionUpdate,
    Transition,
    uuid7,
)
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate, ToolStatus
from sonora_app.storage.whole_turns import CONTINUES

START = datetime(2026, 11, 24, 18, 0, 0, tzinfo=UTC)
HOSTILE = "\x1b[2J# no heading *no stars* <b>&amp;</b>\n- [no](http://link) `code`\n===\n1 > 0"
"""Something said that a terminal would obey and Markdown would take as markup."""


@dataclass(frozen=True)
class Kept:
    """The conversations in it: one with two calls, and an empty one."""

    talk: UUID
    other: UUID


def write_journal(path: Path) -> Kept:
    """Write a journal with a talk of Ana's, of two calls, and an empty one of Luis's.

    Args:
        path: The journal's file.
    """
    talk, session, second, other = uuid7(), uuid7(), uuid7(), uuid7()

    def at(secs: float) -> datetime:
        return START + timedelta(seconds=secs)

    def conversation(identifier: UUID, user: str, title: str | None) -> Conversation:
        return Conversation(
            id=identifier,
            user_id=user,
            title=title,
            status=ConversationStatus.COMPLETED,
            language="es",
            metadata={"topics": ["viajes", "Oaxaca"], "outcome": "resolved"},
            created_at=at(0),
            updated_at=at(0),
        )

    def said(seq: int | None, secs: float, role: str, content: str, **more: object) -> Message:
        return Message.model_validate(
            {
                "id": uuid7(),
                "conversation_id": talk,
                "session_id": session,
                "seq": seq,
                "role": role,
                "content": content,
                "node": "conversation",
                "created_at": at(secs),
                **more,
            }
        )

    def step(seq: int, secs: float, from_node: str, to_node: str, trigger: str) -> Transition:
        return Transition(
            id=uuid7(),
            conversation_id=talk,
            session_id=session,
            seq=seq,
            from_node=from_node,
            to_node=to_node,
            trigger=trigger,
            arguments={"n": seq},
            created_at=at(secs),
        )

    used = ToolCall(
        id=uuid7(),
        conversation_id=talk,
        session_id=session,
        name="find_trip",
        arguments={"to": "Oaxaca"},
        idempotency_key="k",
        started_at=at(6),
    )
    records: list[Record] = [
        conversation(other, "luis", None),
        conversation(talk, "ana", "Un viaje a Oaxaca"),
        Session(
            id=session, conversation_id=talk, transport="webrtc", started_at=at(1), app_version="0"
        ),
        step(1, 2, "waiting", "greeting", "set_conversation_id"),
        said(1, 2, "assistant", "Hola, Ana.", node="greeting", interrupted=True),
        step(2, 4, "greeting", "conversation", "greeting_finished"),
        said(2, 5, "user", "Quiero ir a Oaxaca", modality=Modality.TEXT),
        used,
        ToolCallUpdate(
            id=used.id,
            conversation_id=talk,
            status=ToolStatus.DONE,
            result="Un autobús a las 9.",
            ended_at=at(7.5),
        ),
        used.model_copy(
            update={"id": uuid7(), "name": "book_trip", "arguments": {}, "started_at": at(8)}
        ),
        said(3, 9, "assistant", HOSTILE),
        SessionUpdate(id=session, ended_at=at(76), end_reason=EndReason.GOODBYE),
        Session(
            id=second, conversation_id=talk, transport="daily", started_at=at(90), app_version="0"
        ),
        # As a text-chat API writes them.
        said(None, 120, "agent", "¿Algo más?", session_id=None, node=None),
    ]

    _write(path, records)
    return Kept(talk, other)


def add_cut_turn(path: Path, conversation_id: UUID, session_id: UUID, at: datetime) -> list[UUID]:
    """Add a turn that was cut in two: its first part, the bot's few words, its second, the answer.

    Args:
        path: The journal's file.
        conversation_id: The conversation that it is added to.
        session_id: The call, one of the conversation's.
        at: When the turn begins.

    Returns:
        The ids of the four messages.
    """
    first, *others = ids = [uuid7() for _ in range(4)]
    cut_in, second, answer = others
    said: list[tuple[UUID, str, str, float, dict[str, object]]] = [
        (first, "user", "Quiero un vuelo a Madrid.", 0, {}),
        (cut_in, "assistant", "Claro, bus", 2.1, {"interrupted": True, "metrics": _waited(610)}),
        (second, "user", "Y otro a Sevilla.", 2.8, {"metadata": {CONTINUES: str(first)}}),
        (answer, "assistant", "Hay dos, uno por la tarde.", 5.0, {"metrics": _waited(1350)}),
    ]
    _write(
        path,
        [
            Message.model_validate(
                {
                    "id": identifier,
                    "conversation_id": conversation_id,
                    "session_id": session_id,
                    "seq": 900 + place,
                    "role": role,
                    "content": content,
                    "node": "conversation",
                    "created_at": at + timedelta(seconds=secs),
                    **more,
                }
            )
            for place, (identifier, role, content, secs, more) in enumerate(said)
        ],
    )
    return ids


def _waited(ms: float) -> JsonObject:
    parts = {"endpointing_wait": ms / 2, "llm_inference": ms / 2}
    return {"latency": {"total_ms": ms, "parts_ms": parts}}


def _write(path: Path, records: Sequence[Record]) -> None:
    async def write() -> None:
        journal = await Journal.connect(path)
        try:
            await journal.write(records)
        finally:
            await journal.aclose()

    asyncio.run(write())

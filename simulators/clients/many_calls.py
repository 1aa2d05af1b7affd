"""Calls of two days, as they are kept, for the tests of what adds them up."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sonora_app.storage.records import (
    Conversation,
    EndReason,
    JsonObject,
    Record,
    Session,
    SessionUpdate,
    uuid7,
)
from sonora_app.storage.tool_calls import ToolCall, ToolStatus

_FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


def begun(place: int) -> datetime:
    """When a call began: three on one day, an hour apart, and two on the next."""
    return _FIRST + timedelta(hours=place if place < 3 else 24 + place)


def write_calls() -> Sequence[Record]:
    """The records of five calls: calm, cut, broken, idle, and one that still goes on."""
    calls: list[tuple[str, str, EndReason | None, JsonObject]] = [
        ("calm", "1", EndReason.GOODBYE, _metrics([300, 500, 700], flow="f1")),
        ("cut", "1", EndReason.GOODBYE, _metrics([100, 300, 500], flow="f1", turns_cut=1)),
        (
            "broken",
            "1",
            EndReason.ERROR,
            _metrics(
                [900, 2_500],
                flow="f1",
                failures={"model_unavailable": 2, "voice_unavailable": 1},
                cost={"currency": "USD", "total": None, "known": 0.01},
            ),
        ),
        ("idle", "2", EndReason.USER_IDLE, {**_metrics([], flow="f2"), "turns_answered": 0}),
        ("going", "2", None, {}),
    ]
    records: list[Record] = []
    for place, (user, version, reason, metrics) in enumerate(calls):
        at = begun(place)
        conversation = Conversation(
            id=uuid7(),
            user_id=user,
            metadata={"outcome": "resolved"} if user == "calm" else {},
            created_at=at,
            updated_at=at,
        )
        session = Session(
            id=uuid7(),
            conversation_id=conversation.id,
            transport="webrtc",
            started_at=at,
            app_version=version,
        )
        records += [conversation, session]
        if reason is not None:
            ended_at = at + timedelta(minutes=1)
            records.append(
                SessionUpdate(id=session.id, ended_at=ended_at, end_reason=reason, metrics=metrics)
            )
        if user == "cut":
            records.append(
                ToolCall(
                    id=uuid7(),
                    conversation_id=conversation.id,
                    session_id=session.id,
                    name="book",
                    status=ToolStatus.FAILED,
                    idempotency_key="k",
                    started_at=at,
                )
            )
    return records


def _metrics(waits: list[int], *, flow: str, **more: object) -> JsonObject:
    return {
        "turns_answered": len(waits),
        "waits_ms": waits,
        "prompt_tokens": 1_000,
        "summary_prompt_tokens": 100,
        "completion_tokens": 100,
        "summary_completion_tokens": 10,
        "early_answers": 3,
        "early_answers_withdrawn": 1,
        "turns_cut": 0,
        "failures": {},
        "cost": {"currency": "USD", "total": 0.01, "known": 0.01},
        "flow_version": flow,
        **more,
    }

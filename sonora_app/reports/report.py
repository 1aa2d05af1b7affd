"""The report of a call: what happened in it, how well, and what it cost, as one document.

Its form is published as a JSON Schema in `docs/call-report.schema.json`. Within one `version`
fields are only added; a change that breaks a reader comes with the next number.
"""

import json
from collections.abc import Iterable
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sonora_app.reports.cost import Cost
from sonora_app.reports.usage import Used
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    JsonObject,
    Message,
    Modality,
    Session,
    Transition,
)
from sonora_app.storage.store import Transcript
from sonora_app.storage.tool_calls import ToolCall, ToolStatus
from sonora_app.storage.whole_turns import CONTINUES

VERSION = "1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReportedCall(_Part):
    """Which call it was, and how it ended."""

    id: UUID
    conversation_id: UUID
    user_id: str | None
    transport: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    duration_secs: float | None
    end_reason: EndReason | None
    sonora_version: str
    flow_version: str | None = Field(description="Changes with the files in flows/.")


class ReportedConversation(_Part):
    """The conversation that the call belongs to. Null and empty where words are left out."""

    status: ConversationStatus
    language: str | None
    title: str | None
    summary: str | None
    topics: tuple[str, ...]
    outcome: str | None


class Waits(_Part):
    """How long answers took to be heard, from where the user fell silent, in milliseconds."""

    median: float
    p95: float | None = None
    worst: float


class Figures(_Part):
    """How well it went. Null is what was not counted."""

    turns_answered: int | None
    waits_ms: Waits | None
    early_answers: int | None = Field(description="Answers begun before the turn was over.")
    early_answers_withdrawn: int | None
    turns_cut: int | None = Field(
        description="How often a turn was cut in two, since it was taken to be over too soon. "
        "`continues` of the turns joins the parts."
    )
    failures: dict[str, int] | None = Field(description="What the page was told of, by its code.")


class ReportedTurn(_Part):
    """What one of the two said. A turn that was cut in two is there as its parts."""

    number: int = Field(description="Among the turns of the call, from 1.")
    message_id: UUID
    at: AwareDatetime
    role: str
    node: str | None
    modality: Modality
    interrupted: bool
    continues: UUID | None = Field(
        default=None,
        description="The `message_id` of the user's words that these go on with: both are parts "
        "of one turn, which was cut in two. Null where a turn begins.",
    )
    words: str | None = Field(description="Null where words are left out.")
    waited_ms: float | None
    parts_ms: dict[str, float]


class ReportedStep(_Part):
    """A step of the flow."""

    at: AwareDatetime
    from_node: str
    to_node: str
    function: str
    cause: str | None
    arguments: JsonObject = Field(description="Empty where words are left out.")


class ReportedTool(_Part):
    """A call of a tool."""

    at: AwareDatetime
    name: str
    status: ToolStatus
    secs: float | None
    arguments: JsonObject = Field(description="Empty where words are left out.")
    result: str | None = Field(description="Null where words are left out.")


class CallReport(_Part):
    """The report of one call."""

    version: Literal["1"] = VERSION
    with_words: bool = Field(description="Whether what was said is in it.")
    call: ReportedCall
    conversation: ReportedConversation
    figures: Figures
    usage: tuple[Used, ...] | None = Field(description="Null where it was not counted.")
    cost: Cost | None = Field(description="Null where it is not known at all.")
    turns: tuple[ReportedTurn, ...]
    steps: tuple[ReportedStep, ...]
    tools: tuple[ReportedTool, ...]


def report_of(transcript: Transcript, session: Session, *, with_words: bool) -> CallReport:
    """The report of a call.

    Args:
        transcript: The conversation that it belongs to.
        session: The call, one of the conversation's.
        with_words: Whether what was said, and what may tell of it, is in the report.
    """
    metrics = session.metrics
    messages = [
        each
        for each in transcript.messages
        if each.session_id == session.id and each.deleted_at is None
    ]
    return CallReport(
        with_words=with_words,
        call=_call(session, transcript.conversation),
        conversation=_conversation(transcript.conversation, with_words),
        figures=_figures(metrics),
        usage=_usage(metrics),
        cost=cost_in(metrics),
        turns=_turns(messages, with_words),
        steps=tuple(
            _step(each, with_words)
            for each in transcript.transitions
            if each.session_id == session.id
        ),
        tools=tuple(
            _tool(each, with_words)
            for each in transcript.tool_calls
            if each.session_id == session.id
        ),
    )


def cost_in(metrics: JsonObject) -> Cost | None:
    """What a call cost, by its metrics; None where that is not known at all."""
    try:
        return Cost.model_validate(metrics.get("cost"))
    except ValidationError:
        return None


def json_schema() -> JsonObject:
    """The form of a report, as JSON Schema (draft 2020-12)."""
    schema = CallReport.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The JSON Schema as it is published."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"


def _call(session: Session, conversation: Conversation) -> ReportedCall:
    ended = session.ended_at
    took = None if ended is None else max(0.0, (ended - session.started_at).total_seconds())
    flow = session.metrics.get("flow_version")
    return ReportedCall(
        id=session.id,
        conversation_id=session.conversation_id,
        user_id=conversation.user_id,
        transport=session.transport,
        started_at=session.started_at,
        ended_at=ended,
        duration_secs=None if took is None else round(took, 3),
        end_reason=session.end_reason,
        sonora_version=session.app_version,
        flow_version=flow if isinstance(flow, str) else None,
    )


def _conversation(conversation: Conversation, with_words: bool) -> ReportedConversation:
    told: JsonObject = conversation.metadata if with_words else {}
    topics, outcome = told.get("topics"), told.get("outcome")
    return ReportedConversation(
        status=conversation.status,
        language=conversation.language,
        title=conversation.title if with_words else None,
        summary=conversation.summary if with_words else None,
        topics=tuple(map(str, cast(Iterable[Any], topics))) if isinstance(topics, list) else (),
        outcome=str(outcome) if outcome else None,
    )


def _figures(metrics: JsonObject) -> Figures:
    failures = metrics.get("failures")
    try:
        waits = Waits.model_validate(metrics.get("latency_ms"))
    except ValidationError:
        waits = None
    return Figures(
        turns_answered=_count(metrics, "turns_answered"),
        waits_ms=waits,
        early_answers=_count(metrics, "early_answers"),
        early_answers_withdrawn=_count(metrics, "early_answers_withdrawn"),
        turns_cut=_count(metrics, "turns_cut"),
        failures=cast(dict[str, int], failures) if isinstance(failures, dict) else None,
    )


def _count(metrics: JsonObject, name: str) -> int | None:
    value = metrics.get(name)
    return value if isinstance(value, int) else None


def _usage(metrics: JsonObject) -> tuple[Used, ...] | None:
    kept = metrics.get("usage")
    if not isinstance(kept, list):
        return None
    try:
        return tuple(Used.model_validate(each) for each in cast(list[Any], kept))
    except ValidationError:
        return None


def _turns(messages: list[Message], with_words: bool) -> tuple[ReportedTurn, ...]:
    told = {str(each.id): each.id for each in messages}
    return tuple(
        _turn(number, each, told.get(str(each.metadata.get(CONTINUES))), with_words)
        for number, each in enumerate(messages, 1)
    )


def _turn(number: int, message: Message, continues: UUID | None, with_words: bool) -> ReportedTurn:
    latency = message.metrics.get("latency")
    measured = cast(JsonObject, latency) if isinstance(latency, dict) else {}
    return ReportedTurn(
        number=number,
        message_id=message.id,
        at=message.created_at,
        role=message.role,
        node=message.node,
        modality=message.modality,
        interrupted=message.interrupted,
        continues=continues,
        words=message.content if with_words else None,
        waited_ms=measured.get("total_ms"),
        parts_ms=measured.get("parts_ms") or {},
    )


def _step(step: Transition, with_words: bool) -> ReportedStep:
    cause = step.arguments.get("cause")
    return ReportedStep(
        at=step.created_at,
        from_node=step.from_node,
        to_node=step.to_node,
        function=step.trigger,
        cause=cause if isinstance(cause, str) else None,
        arguments=step.arguments if with_words else {},
    )


def _tool(use: ToolCall, with_words: bool) -> ReportedTool:
    return ReportedTool(
        at=use.started_at,
        name=use.name,
        status=use.status,
        secs=use.secs,
        arguments=use.arguments if with_words else {},
        result=use.result if with_words else None,
    )

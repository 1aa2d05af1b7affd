"""Gives the spans of a call its ids, so that what is traced of it can be found."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID


class _Span(Protocol):
    def is_recording(self) -> bool: ...
    def set_attributes(self, attributes: dict[str, str]) -> None: ...


@dataclass
class _TracedCall:
    """The ids of a call, and the spans that began before they were known."""

    ids: dict[str, str] = field(default_factory=dict[str, str])
    unnamed: list[_Span] = field(default_factory=list[_Span])


_call: ContextVar[_TracedCall] = ContextVar("sonora_traced_call")


def begin_traced_call(*, traced: bool) -> None:
    """The spans of this task, and of those that it starts, are those of one call.

    Args:
        traced: Whether there are any. They are then no part of the request that began the call.
    """
    if not traced:
        return
    from opentelemetry.context import Context, attach

    attach(Context())
    _call.set(_TracedCall())


def name_traced_call(session_id: UUID, conversation_id: UUID) -> None:
    """The ids of the call are known: its spans have them from here on."""
    call = _call.get(None)
    if call is None:
        return
    call.ids = {
        "sonora.session_id": str(session_id),
        "sonora.conversation_id": str(conversation_id),
    }
    unnamed, call.unnamed = call.unnamed, []
    for span in unnamed:
        if span.is_recording():
            span.set_attributes(call.ids)


def span_began(span: _Span) -> None:
    """A span began, in the task of the call that it belongs to."""
    call = _call.get(None)
    if call is None:
        return
    if call.ids:
        span.set_attributes(call.ids)
    else:
        call.unnamed.append(span)

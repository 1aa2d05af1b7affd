"""Gives a call its history when the history could not be read before the call began."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from loguru import logger
from pipecat.frames.frames import LLMMessagesTransformFrame
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.call.context_changes import Transform, transformed
from sonora_app.errors import ErrorCode
from sonora_app.page.protocol import ConversationOpened, Event, HistoryLoaded, Notice
from sonora_app.storage.history import ContextMessage, context_messages
from sonora_app.storage.store import Found
from sonora_app.wording.translation import in_language, worded

_REFUSED_LATE = worded(
    "The conversation that was asked for cannot be opened. What is said in this call is kept as a "
    "new one."
)


@dataclass(frozen=True)
class LateHistory:
    """What was found late, and what follows from it.

    Where the conversation turns out to be somebody else's, nothing of it is used, and the page is
    told what this call is kept as instead.

    Parameters:
        before: The conversation as it was opened, without all that there is of it.
        opened: The conversation as it is known now.
        messages: The newest of what was said earlier; None where it is not this user's.
    """

    before: OpenedConversation
    opened: OpenedConversation
    messages: list[ContextMessage] | None

    @classmethod
    def of(
        cls, opened: OpenedConversation, found: Found, *, max_messages: int, max_chars: int
    ) -> LateHistory:
        """What `found` means for a call that was opened as `opened`.

        Args:
            opened: The conversation as it was opened.
            found: All that there is of it.
            max_messages: How many messages of it the model gets.
            max_chars: How many characters of it the model gets.
        """
        there = found.opening
        if there is not None and (there.conversation.user_id != opened.owner_id or found.deleted):
            logger.warning(
                f"Conversation {opened.conversation_id} stays apart from what was asked for"
            )
            return cls(opened, replace(opened, asked_for=None), None)
        previous = there.conversation if there else found.previous
        summary = opened.summary or (previous and previous.summary)
        # What this very call said is among it by now.
        earlier = [m for m in there.messages if m.session_id != opened.session_id] if there else []
        return cls(
            opened,
            replace(opened, summary=summary),
            context_messages(earlier, max_messages=max_messages, max_chars=max_chars),
        )

    def frame(self, note: str) -> LLMMessagesTransformFrame | None:
        """Puts it before what was said in this call, or None where there is nothing to put.

        Args:
            note: What the prompts say of what was said before that; used where they have not
                said it yet.
        """
        if self.messages is None:
            return None
        told: list[Any] = []
        if note and self.before.summary is None:
            told.append({"role": "developer", "content": note})
        return transformed(_instead_of(list(self.before.history), [*told, *self.messages]))

    def events(self, language: str) -> list[Event]:
        """What the page is told, in a language."""
        if self.messages is not None:
            return [HistoryLoaded(messages=len(self.messages))]
        return [
            Notice(
                code=ErrorCode.CONVERSATION_REFUSED,
                message=in_language(_REFUSED_LATE, language),
            ),
            ConversationOpened(
                conversation_id=self.opened.conversation_id,
                session_id=self.opened.session_id,
                resumed=False,
                history="loaded",
                put_back=False,
                language=self.opened.language,
            ),
        ]


def _instead_of(told: list[ContextMessage], history: list[Any]) -> Transform:
    """Put `history` at the beginning of a context, in the place of what stands there of it."""

    def transform(messages: list[LLMContextMessage]) -> list[LLMContextMessage]:
        begins_so = messages[: len(told)] == told
        return [*history, *(messages[len(told) :] if begins_so else messages)]

    return transform

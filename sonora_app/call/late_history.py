"""Gives a call what was said earlier, when that could not be read before the call began."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.frames.frames import LLMMessagesTransformFrame
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from sonora_app.call.opening import OpenedConversation
from sonora_app.errors import ErrorCode
from sonora_app.page.protocol import ConversationOpened, HistoryLoaded, Notice, SetConversationId
from sonora_app.storage.history import ContextMessage, context_messages

if TYPE_CHECKING:
    from sonora_app.call.call import Call


async def load_late(call: "Call", claim: SetConversationId) -> None:
    """Wait for what was said earlier, and put it before what was said in this call.

    The page is told. Where the conversation turns out to be somebody else's, nothing of it is
    used, and the page is told what this call is kept as instead.

    Args:
        call: A call whose conversation was opened without all that there is of it.
        claim: What it was opened by.
    """
    opened = call.opened
    if opened is None or claim.user_id is None:
        return
    found = await call.reading.late(claim.conversation_id, claim.user_id)
    there = found.opening
    if there is not None and (there.conversation.user_id != opened.owner_id or found.deleted):
        call.opened = replace(opened, asked_for=None)
        await _tell_refused(call, opened)
        return
    previous = there.conversation if there else found.previous
    call.opened = replace(opened, summary=opened.summary or (previous and previous.summary))
    # What this very call said is among it by now.
    messages = [m for m in there.messages if m.session_id != opened.session_id] if there else []
    history = context_messages(messages, max_chars=call.settings.history_chars)
    frame = LLMMessagesTransformFrame(
        transform=_instead_of(list(opened.history), [*_note(call, opened), *history])
    )
    # An interruption must not lose it.
    frame.interruptible = False
    await call.worker.queue_frame(frame)
    await call.page.tell(HistoryLoaded(messages=len(history)))


async def _tell_refused(call: "Call", opened: OpenedConversation) -> None:
    logger.warning(f"Conversation {opened.conversation_id} stays apart from what was asked for")
    await call.page.tell(
        Notice(
            code=ErrorCode.CONVERSATION_REFUSED,
            message="The conversation that was asked for cannot be opened. What is said in this "
            "call is kept as a new one.",
        )
    )
    await call.page.tell(
        ConversationOpened(
            conversation_id=opened.conversation_id,
            session_id=opened.session_id,
            resumed=False,
            history="loaded",
        )
    )


def _note(call: "Call", opened: OpenedConversation) -> list[Any]:
    """What the model is told of what was said before that, where it was not told yet."""
    text = call.prompt_facts()["history"]
    return [{"role": "developer", "content": text}] if text and opened.summary is None else []


def _instead_of(
    told: list[ContextMessage], history: list[Any]
) -> Callable[[list[LLMContextMessage]], list[LLMContextMessage]]:
    """Put `history` at the beginning of a context, in the place of what stands there of it."""

    def transform(messages: list[LLMContextMessage]) -> list[LLMContextMessage]:
        begins_so = messages[: len(told)] == told
        return [*history, *(messages[len(told) :] if begins_so else messages)]

    return transform

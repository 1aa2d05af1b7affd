"""The frames that change what the model is told in a call. An interruption loses none of them."""

from collections.abc import Callable

from pipecat.frames.frames import LLMMessagesAppendFrame, LLMMessagesTransformFrame
from pipecat.processors.aggregators.llm_context import LLMContextMessage

Transform = Callable[[list[LLMContextMessage]], list[LLMContextMessage]]
"""Makes the messages of a context of those that are in it."""


def appended(message: LLMContextMessage) -> LLMMessagesAppendFrame:
    """Puts a message behind the others. The model is asked for nothing."""
    frame = LLMMessagesAppendFrame(messages=[message], run_llm=False)
    frame.interruptible = False
    return frame


def transformed(transform: Transform) -> LLMMessagesTransformFrame:
    """Changes the messages, as they are by then. The model is asked for nothing."""
    frame = LLMMessagesTransformFrame(transform=transform)
    frame.interruptible = False
    return frame


def replaced_in_context(old: str, new: str) -> Transform:
    """Puts `new` in the place of `old` in what a context's developer messages say."""

    def transform(messages: list[LLMContextMessage]) -> list[LLMContextMessage]:
        return [_with(message, old, new) for message in messages]

    return transform


def _with(message: LLMContextMessage, old: str, new: str) -> LLMContextMessage:
    if not isinstance(message, dict) or message.get("role") not in ("developer", "system"):
        return message
    content = message.get("content")
    if not isinstance(content, str) or old not in content:
        return message
    return {**message, "content": content.replace(old, new)}  # pyright: ignore[reportReturnType]  # the same kind of message

"""What the person asks in the request that is about to be answered."""

from collections.abc import Sequence
from typing import Any, cast

from pipecat.processors.aggregators.async_tool_messages import parse_message
from pipecat.processors.aggregators.llm_context import LLMContextMessage


def question_of(
    messages: Sequence[LLMContextMessage], late: Sequence[LLMContextMessage] = ()
) -> str:
    """What the person said since they were last answered.

    An answer that a function's result follows is not over: it goes on with that result.

    Args:
        messages: The request.
        late: Those that tell what came of a tool that took long.
    """
    said: list[str] = []
    goes_on = False
    for message in reversed(messages):
        match role_of(message):
            case "user":
                said.append(_text(message))
            case "assistant" if _text(message) and (said or not goes_on):
                break
            case "tool" | "developer" if not said and _is_result(message, late):
                goes_on = True
            case _:
                pass
    return " ".join(reversed(said)).strip()


def role_of(message: LLMContextMessage) -> str:
    """Who a message is from; empty where it does not say."""
    return str(message.get("role", "")) if isinstance(message, dict) else ""


def _is_result(message: LLMContextMessage, late: Sequence[LLMContextMessage]) -> bool:
    """Whether a function gave it; one that took long gives it as the developer does."""
    if role_of(message) == "tool" or any(message is each for each in late):
        return True
    return parse_message(cast(Any, message)) is not None


def _text(message: LLMContextMessage) -> str:
    if not isinstance(message, dict):
        return ""
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    parts = cast(list[dict[str, Any]], content) if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if "text" in part)

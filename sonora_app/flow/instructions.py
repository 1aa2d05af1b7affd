"""Finds in a context what the model is told to do in a node of the flow."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pipecat.flows import FlowConfig
from pipecat.processors.aggregators.llm_context import LLMContextMessage

_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
"""What Flows fills in on entering a node."""


def filled_in(
    told: Sequence[FlowConfig.Message], messages: Sequence[LLMContextMessage]
) -> list[LLMContextMessage]:
    """The messages of a context that tell the model what a node does.

    Args:
        told: The node's messages, with their placeholders.
        messages: The context's messages.

    Returns:
        For each of the node's messages, the newest one that it was filled in to, if there is one.
    """
    newest_first = list(reversed(messages))
    found = (
        next((each for each in newest_first if _is_from(each, one.role, one.content)), None)
        for one in told
    )
    return [message for message in found if message is not None]


def _is_from(message: LLMContextMessage, role: str, template: str) -> bool:
    """Whether `message` is `template` with its placeholders filled in."""
    fields = cast(Mapping[str, Any], message if isinstance(message, dict) else {})
    content = fields.get("content")
    if fields.get("role") != role or not isinstance(content, str):
        return False
    filled = ".*?".join(map(re.escape, _PLACEHOLDER.split(template.strip())))
    return re.fullmatch(filled, content.strip(), re.DOTALL) is not None

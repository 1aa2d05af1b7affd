"""The log's line for each turn: who spoke, where in the flow, how much, how long it took, what of.

No line holds words of the talk.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from loguru import logger

from sonora_app.call.measuring.metrics import CallMetrics
from sonora_app.storage.listing import short_id
from sonora_app.storage.records import Modality, Role


class TurnLog:
    """Writes the lines of one call.

    Args:
        metrics: What the call has used so far.
    """

    def __init__(self, metrics: CallMetrics) -> None:
        """Write nothing yet."""
        self._metrics = metrics
        self._tokens = (0, 0)

    def user(self, conversation_id: UUID, node: str, chars: int, modality: Modality) -> None:
        """The user said something, of so many characters."""
        logger.info(f"{_where(conversation_id, Role.USER, node)} {chars} chars by {modality}")

    def assistant(
        self,
        conversation_id: UUID,
        node: str,
        chars: int,
        *,
        interrupted: bool,
        latency: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]],
    ) -> None:
        """The bot was heard to say something.

        Args:
            conversation_id: In which conversation.
            node: In which node of the flow.
            chars: How much of it was heard.
            interrupted: Whether it was cut off.
            latency: How long it was waited for, as `TurnLatency` has it; empty: not measured.
            tools: The tools that ended before it: name, status and milliseconds.
        """
        told = [f"{chars} chars heard{', cut off' if interrupted else ''}"]
        if latency:
            parts = ", ".join(f"{part} {ms:.0f}" for part, ms in latency["parts_ms"].items())
            told.append(f"{latency['total_ms']:.0f} ms voice to voice ({parts})")
        if any(tokens := self._tokens_since()):
            told.append(f"{tokens[0]} + {tokens[1]} tokens")
        if tools:
            told.append("tools: " + ", ".join(map(_tool, tools)))
        logger.info(f"{_where(conversation_id, Role.ASSISTANT, node)} {'; '.join(told)}")

    def _tokens_since(self) -> tuple[int, int]:
        """The tokens read and written since the last line that told of them."""
        read, written = self._tokens
        self._tokens = (self._metrics.prompt_tokens, self._metrics.completion_tokens)
        return self._tokens[0] - read, self._tokens[1] - written


def _where(conversation_id: UUID, role: Role, node: str) -> str:
    return f"{short_id(conversation_id)} {role} in {node}:"


def _tool(tool: Mapping[str, Any]) -> str:
    took = tool.get("took_ms")
    return f"{tool['name']} {tool['status']}" + (f" {took:.0f} ms" if took is not None else "")

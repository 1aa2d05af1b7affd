"""A tool that the model can call, what comes of a call, and who does it.

A tool is data. What does it is a `ToolRunner`: one for what `flows/tools.yaml` declares, one for
each MCP server. What happens around it (the person who waits, the model that is told, the record)
is the same for all of them, and is in `call/tools/calls.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

HTTP = "http"
"""The source of the tools that are HTTP requests."""

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
"""The JSON Schema of the arguments of a tool that takes none."""


@dataclass(frozen=True)
class Tool:
    """Something that the model can have done.

    Parameters:
        name: What the model calls it by: letters, digits, `_` and `-`.
        description: What the model is told it does.
        parameters: The JSON Schema of its arguments, which are an object.
        source: `http`, or the name of the MCP server whose tool it is.
        time_limit_secs: How long it may take, in seconds. Afterwards it is not known whether it
            was done.
        repeatable: Whether it may be done twice: asking again changes nothing more.
        confirm: Whether the person has to agree aloud before it is done.
        nodes: The nodes of the flow in which it is offered.
        max_chars: How many characters of its answer the model is told.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: dict(NO_PARAMETERS))
    source: str = HTTP
    time_limit_secs: float = 10.0
    repeatable: bool = False
    confirm: bool = False
    nodes: tuple[str, ...] = ("conversation",)
    max_chars: int = 2_000


class OutcomeStatus(StrEnum):
    """What came of a call of a tool."""

    DONE = "done"
    """It was done, and this is its answer."""
    FAILED = "failed"
    """It was certainly not done."""
    UNKNOWN = "unknown"
    """It is not known whether it was done: the answer was lost, or did not come in time."""
    REFUSED = "refused"
    """It was not even tried: the arguments cannot be used, or its server cannot be reached."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call of a tool.

    Parameters:
        status: Whether it was done.
        text: What the model is told: an answer, or what is wrong in plain words. Bounded.
        duration_secs: How long it took, in seconds.
    """

    status: OutcomeStatus
    text: str
    duration_secs: float = 0.0


class ToolRunner(Protocol):
    """Does the tools of one source. One for the process; any number of calls at a time."""

    async def run(self, tool: Tool, arguments: Mapping[str, Any], *, key: str) -> Outcome:
        """Do it, once; where it is repeatable, again after an answer that was lost.

        The caller has checked the arguments against the tool's schema, and cancels a run only when
        the process ends.

        Args:
            tool: One of this source.
            arguments: What the model gave.
            key: Names this call (`Idempotency-Key`): the same again is the same call.

        Returns:
            What came of it, within `tool.time_limit_secs`. Nothing is raised but cancellation.
        """
        ...


def bounded(text: str, max_chars: int) -> str:
    """`text`, of which the model is told no more than `max_chars` characters."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"

"""A call of a tool that is being done, or was done in this call."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from sonora_app.page.protocol import ToolCallEvent
from sonora_app.storage.records import JsonObject, uuid7
from sonora_app.storage.tool_calls import ToolStatus
from sonora_app.tools.tool import Outcome, OutcomeStatus, Tool

_REDACTED = "[redacted]"

STATUS = {
    OutcomeStatus.DONE: ToolStatus.DONE,
    OutcomeStatus.FAILED: ToolStatus.FAILED,
    OutcomeStatus.REFUSED: ToolStatus.FAILED,
    OutcomeStatus.UNKNOWN: ToolStatus.UNKNOWN,
}
"""How an outcome is kept."""


@dataclass
class RunningTool:
    """A call of a tool, from when it is asked for; kept after its end.

    Parameters:
        tool: The tool.
        arguments: What the model gave.
        fingerprint: The same for the same tool with the same arguments.
        turn: In which turn of the user it was asked for.
        id: Its idempotency key.
        record: The id of its record.
        task: Does it.
        late: Whether its function call was over before it.
        told_late: Whether the model was told what came of it after that.
        telling: Tells the model, where the function call was cut off with the result in hand.
        called_off: Whether the person does not want it any more.
        unknown_in: In which turn the model was told that it is not known whether it was done.
    """

    tool: Tool
    arguments: JsonObject
    fingerprint: str
    turn: int
    id: UUID = field(default_factory=uuid7)
    record: UUID | None = None
    task: "asyncio.Task[Outcome] | None" = None
    late: bool = False
    told_late: bool = False
    telling: "asyncio.Task[None] | None" = None
    called_off: bool = False
    unknown_in: int | None = None

    @property
    def kept_arguments(self) -> JsonObject:
        """The arguments as they are kept: without what the schema marks as `writeOnly`."""
        properties = cast("Mapping[str, JsonObject]", self.tool.parameters.get("properties") or {})
        return {
            name: _REDACTED if properties.get(name, {}).get("writeOnly") else value
            for name, value in self.arguments.items()
        }

    @property
    def ended(self) -> bool:
        """Whether it is known what came of it, or that this will never be known."""
        return self.task is not None and self.task.done()


def event_of(running: RunningTool, state: ToolStatus, took_ms: float | None) -> ToolCallEvent:
    """What the page is told of it."""
    return ToolCallEvent(
        id=running.record or running.id,
        name=running.tool.name,
        state=state.value,
        took_ms=took_ms,
    )


def outcome_of(task: "asyncio.Task[Outcome]") -> Outcome:
    """What came of a task that has ended."""
    if task.cancelled() or task.exception() is not None:
        return Outcome(OutcomeStatus.UNKNOWN, "")
    return task.result()

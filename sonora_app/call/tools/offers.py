"""The functions by which the model is offered tools in the nodes of the flow."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from pipecat.flows import FlowArgs, FlowManager, FlowsFunctionSchema

from sonora_app.storage.records import JsonObject
from sonora_app.tools.declaration import CANCEL
from sonora_app.tools.references import without_references
from sonora_app.tools.tool import Tool

Result = tuple[JsonObject, Any]
"""What the model is told, and whether it is to answer that: None is yes."""

CONFIRMED_BY = "confirmed_by"
"""The argument of a tool to be confirmed that quotes the question that the person said yes to."""

_CONFIRMED_BY: JsonObject = {
    "type": "string",
    "description": "Only if you have just asked the person whether to do exactly this, and they "
    "said yes: your question, word for word. Leave it out otherwise.",
}


def function_of(
    tool: Tool, asked: Callable[[Tool, JsonObject], Awaitable[Result]]
) -> FlowsFunctionSchema:
    """The function that is `tool`.

    Args:
        tool: The tool.
        asked: Has it done, with the arguments that the model gave.
    """

    async def handler(args: FlowArgs, _: FlowManager) -> Result:
        return await asked(tool, dict(args))

    # A function of a flow has no place for `$defs`.
    schema = without_references(tool.parameters)
    properties = dict(cast(JsonObject, schema.get("properties") or {}))
    if tool.confirm:
        properties.setdefault(CONFIRMED_BY, _CONFIRMED_BY)
    return FlowsFunctionSchema(
        name=tool.name,
        description=tool.description,
        properties=properties,
        required=list(cast(list[str], schema.get("required") or [])),
        handler=handler,
    )


def cancel_function(call_off: Callable[[str], JsonObject]) -> FlowsFunctionSchema:
    """The function that calls a tool off.

    Args:
        call_off: Calls off the one of this name, or all where it is empty.
    """

    async def handler(args: FlowArgs, _: FlowManager) -> Result:
        return call_off(str(args.get("name") or "")), None

    return FlowsFunctionSchema(
        name=CANCEL,
        description="Call off a tool that is still running, because the person asks for it.",
        properties={"name": {"type": "string", "description": "Which; empty for all."}},
        required=[],
        handler=handler,
    )

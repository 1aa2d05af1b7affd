"""What the model is told of an MCP tool's answer."""

import json
from typing import TYPE_CHECKING, Any, cast

from sonora_app.tools.tool import Outcome, OutcomeStatus

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

NOTHING = "It was done. The answer is empty."


def outcome_of(result: "CallToolResult", max_chars: int) -> Outcome:
    """What came of a call that a server answered.

    A list stays a list, nothing is told as nothing, and what is no text is named.

    Args:
        result: The answer.
        max_chars: How much of it the model is told.
    """
    if result.is_error:
        words = "\n".join(_told(block) for block in result.content)
        told = f"It was not done. The tool says: {words}" if words else "It was not done."
        return Outcome(OutcomeStatus.FAILED, cut(told, max_chars))
    parts: list[str] = []
    if result.structured_content is not None:
        parts.append(_structured(result.structured_content))
        blocks = [block for block in result.content if block.type != "text"]
    else:
        blocks = result.content
    parts += [_told(block) for block in blocks]
    text = "\n".join(part for part in parts if part)
    return Outcome(OutcomeStatus.DONE, cut(text or NOTHING, max_chars))


def cut(text: str, max_chars: int) -> str:
    """`text`, or its beginning, which then says that there is more."""
    if len(text) <= max_chars:
        return text
    more = "\n[The rest is left out.]"
    return text[: max_chars - len(more)] + more


def _structured(value: Any) -> str:  # noqa: ANN401  # any JSON
    # What is no object is wrapped so by servers.
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if fields.keys() == {"result"}:
            value = fields["result"]
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _told(block: "ContentBlock") -> str:
    if block.type == "text":
        return block.text
    if block.type == "resource_link":
        return f"[{block.title or block.name}: {block.uri}]"
    if block.type == "resource":
        # Of a file that is no text, what it is called.
        return getattr(block.resource, "text", None) or f"[A file: {block.resource.uri}]"
    kind = "picture" if block.type == "image" else "sound"
    return f"[A {kind} ({block.mime_type}), which cannot be shown here.]"

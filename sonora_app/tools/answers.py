"""What of a tool's answer the model is told: a part of it, or a sentence made of its parts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sonora_app.tools.tool import bounded

PART = re.compile(r"\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}")
NOTHING: Any = object()


@dataclass(frozen=True)
class AnswerPart:
    """What of an answer is told.

    Parameters:
        path: Names joined by dots, with numbers for places in a list: `items.0.name`. Empty: all.
        template: A text with `{{ path }}` in it; empty: what is at `path`, as JSON.
    """

    path: str = ""
    template: str = ""


def told(answer: bytes, part: AnswerPart, *, max_chars: int) -> str | None:
    """What the model is told of an answer; None where it is not JSON though a part is asked for.

    Args:
        answer: The body, as it came.
        part: What of it.
        max_chars: How much of that.
    """
    text = answer.decode("utf-8", "replace").strip()
    try:
        value: Any = json.loads(text) if text else ""
    except (ValueError, RecursionError):
        return None if part.path or part.template else bounded(text, max_chars)
    value = _at(value, part.path)
    if part.template:
        filled = PART.sub(lambda found: _shown(_at(value, found[1])), part.template)
        return bounded(filled, max_chars)
    return bounded(_shown(value), max_chars)


def _at(value: Any, path: str) -> Any:  # noqa: ANN401  # JSON
    for name in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = cast(Mapping[str, Any], value).get(name, NOTHING)
        elif isinstance(value, list) and name.isdecimal():
            items = cast(list[Any], value)
            value = items[int(name)] if int(name) < len(items) else NOTHING
        else:
            value = NOTHING
    return value


def _shown(value: Any) -> str:  # noqa: ANN401
    """A value as text: the empty list and 0 are told as such, and what is not there as nothing."""
    if value is NOTHING:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

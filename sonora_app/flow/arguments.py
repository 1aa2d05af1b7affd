"""Makes of what a model gives a function what the function takes.

Models send a list for a text, a text for a list, numbers, values that no list of choices has, too
much and too little. Each argument is turned into its type where it has a meaning, and is empty
where it has none. So the step that the model meant is taken, and what it failed to tell is left
open.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args, get_origin, get_type_hints

Json: TypeAlias = dict[str, Any]

MAX_CHARS = 4_000
"""How long a text may be."""

MAX_ITEMS = 20
"""How many items a list may have."""

_BETWEEN_ITEMS = re.compile(r"[,;\n•]+")


def add_choices(properties: Mapping[str, Json], function: Any) -> None:  # noqa: ANN401  # a handler
    """Name the choices of each argument that has some: Pipecat leaves a `Literal` without a type.

    Args:
        properties: The schema of the arguments, which is completed.
        function: The handler whose arguments they are.
    """
    for name, hint in get_type_hints(function).items():
        if name in properties and get_origin(hint) is Literal:
            choices = get_args(hint)
            whole = all(type(each) is int for each in choices)
            properties[name].update(type="integer" if whole else "string", enum=list(choices))


def usable(arguments: Any, properties: Mapping[str, Json]) -> Json:  # noqa: ANN401
    """The arguments that a function takes, each of its type.

    Args:
        arguments: What the model gave.
        properties: The schema of the arguments.
    """
    given = cast(Json, arguments) if isinstance(arguments, Mapping) else {}
    return {name: _as(schema, given.get(name)) for name, schema in properties.items()}


def _as(schema: Json, value: Any) -> Any:  # noqa: ANN401
    if choices := schema.get("enum"):
        text = _text(value).casefold()
        none = None if schema.get("type") == "integer" else ""
        return next((choice for choice in choices if str(choice).casefold() == text), none)
    match schema.get("type"):
        case "string":
            return _text(value)[:MAX_CHARS]
        case "array":
            items = [_as(schema.get("items") or {}, item) for item in _items(value)]
            return [item for item in items if item not in ("", None)][:MAX_ITEMS]
        case "boolean":
            return value if isinstance(value, bool) else _text(value).casefold() == "true"
        case "integer" | "number" as kind:
            return _number(value, whole=kind == "integer")
        case "object":
            return cast(Json, value) if isinstance(value, dict) else {}
        case _:
            return value


def _text(value: Any) -> str:  # noqa: ANN401
    """What a value says: a list is what its items say, one after the other."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, map(_text, cast(list[Any], value))))
    if isinstance(value, dict):
        return " ".join(filter(None, map(_text, cast(Json, value).values())))
    return json.dumps(value)


def _items(value: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(value, list):
        return cast(list[Any], value)
    if isinstance(value, str):
        return [part.strip() for part in _BETWEEN_ITEMS.split(value)]
    return list(cast(Json, value).values()) if isinstance(value, dict) else []


def _number(value: Any, *, whole: bool) -> float | int:  # noqa: ANN401
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
        return int(number) if whole else number
    except (ValueError, OverflowError):
        return 0

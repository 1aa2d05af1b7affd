"""The page's protocol as JSON Schema, and as TypeScript types."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from pydantic.json_schema import models_json_schema

from sonora_app.page.protocol import (
    ACTIONS,
    EVENTS,
    MAX_MESSAGE_BYTES,
    ActionMessage,
    Outbound,
    Problem,
)

Schema: TypeAlias = dict[str, Any]

_HEADER = """\
// What a page and Sonora's bot say to each other: docs/protocol.md tells of each.
// Generated from sonora_app/page/protocol.py by `sonora protocol --format typescript`. Do not edit.
"""

_WIDTH = 100
_SCALARS = {"string": "string", "boolean": "boolean", "integer": "number", "number": "number"}


def json_schema() -> Schema:
    """The messages as one JSON Schema (draft 2020-12), each in `$defs` by its model's name."""
    arguments = [action.arguments for action in ACTIONS.values()]
    _, schema = models_json_schema(
        [
            *((model, "validation") for model in (*arguments, ActionMessage)),
            *((model, "serialization") for model in _answers()),
            *((model, "serialization") for model in (Problem, *EVENTS)),
        ],
        title="Sonora's protocol",
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def as_json() -> str:
    """The JSON Schema as text."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2)


def as_typescript() -> str:
    """The messages as a TypeScript declaration file."""
    sent = {model.__name__ for model in (*_answers(), Problem, *EVENTS)}
    parts = [_HEADER]
    for name, schema in json_schema()["$defs"].items():
        parts.append(_declaration(name, schema, sent=name in sent))
    parts.append(_actions())
    parts.append(
        _comment("What a server-message of Sonora's holds, told apart by `event`.")
        + _union("SonoraEvent", [event.__name__ for event in EVENTS])
    )
    return "\n".join(parts)


def _answers() -> list[type[Outbound]]:
    return list(dict.fromkeys(action.answer for action in ACTIONS.values()))


def _declaration(name: str, schema: Schema, *, sent: bool) -> str:
    """One model or enumeration.

    Args:
        name: Its name.
        schema: Its schema.
        sent: Whether the bot sends it. Then what has one value only is always there, and what may
            be null is left out instead.
    """
    comment = _comment(schema.get("description", ""))
    if "enum" in schema:
        return f"{comment}{_union(name, [json.dumps(value) for value in schema['enum']])}"
    fields = "".join(_fields(schema, sent=sent))
    if not fields:
        return f"{comment}export type {name} = Record<string, never>;\n"
    return f"{comment}export interface {name} {{\n{fields}}}\n"


def _fields(schema: Schema, *, sent: bool) -> Iterator[str]:
    required = set(cast(list[str], schema.get("required", [])))
    for name, field in cast(dict[str, Schema], schema.get("properties", {})).items():
        always = name in required or (sent and "const" in field)
        kind = _type(field)
        if sent and not always:
            kind = kind.removesuffix(" | null")
        yield f"  {name}{'' if always else '?'}: {kind};{_limits(field)}\n"


def _type(schema: Schema) -> str:
    """The TypeScript type of a value.

    Raises:
        ValueError: It is of a kind that no message had when this was written.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    match schema.get("type"):
        case "null":
            return "null"
        case "object":
            values: Schema | bool = schema["additionalProperties"]
            return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
        case "array" if "items" in schema:
            item = _type(schema["items"])
            return f"({item})[]" if "|" in item else f"{item}[]"
        case str(scalar) if scalar in _SCALARS:
            return _SCALARS[scalar]
        case _:
            raise ValueError(f"No TypeScript type is known for {schema}")


def _limits(field: Schema) -> str:
    """What the type does not say, as a comment."""
    for option in [field, *cast(list[Schema], field.get("anyOf", []))]:
        if option.get("format") == "uuid":
            return " // a UUID"
        if "maxLength" in option:
            least = f"{option['minLength']} to " if "minLength" in option else "at most "
            return f" // {least}{option['maxLength']} characters"
    return ""


def _union(name: str, options: list[str]) -> str:
    line = f"export type {name} = {' | '.join(options)};"
    if len(line) > _WIDTH:
        line = f"export type {name} =\n" + "\n".join(f"  | {option}" for option in options) + ";"
    return line + "\n"


def _actions() -> str:
    entries = "".join(
        f"  {name}: {{ arguments: {action.arguments.__name__}; "
        f"answer: {action.answer.__name__} }};\n"
        for name, action in ACTIONS.items()
    )
    told = (
        f"The actions of a page, by name. A message has at most {MAX_MESSAGE_BYTES} bytes of JSON."
    )
    return f"{_comment(told)}export interface Actions {{\n{entries}}}\n"


def _comment(text: str) -> str:
    lines = text.split("\n")
    if not text:
        return ""
    if len(lines) == 1:
        return f"/** {text} */\n"
    return "/**\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"

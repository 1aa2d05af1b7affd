"""Checks what a model gives a tool against the tool's JSON Schema, in plain words."""

from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from sonora_app.tools.references import reference_to_nothing, without_references

_TOLD = 4
"""How many mistakes the model is told at once."""

_SHOWN_CHARS = 200


def schema_mistake(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a JSON Schema; None where it can be used."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error.message[:_SHOWN_CHARS]
    if (named := reference_to_nothing(schema)) is not None:
        return f"{named!r} names nothing in it"[:_SHOWN_CHARS]
    return None


def argument_mistakes(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with arguments, a sentence each; empty where they can be used.

    An argument that the schema does not name is wrong, whether or not the schema forbids it: what a
    model invents must not be dropped silently.
    """
    known = cast(Mapping[str, Any], schema.get("properties") or {})
    mistakes = [f"{name} is no argument of it" for name in arguments if name not in known]
    for error in _errors(arguments, schema):
        if error.validator == "additionalProperties":
            continue
        where = ".".join(map(str, error.absolute_path))
        mistakes.append(f"{where}: {error.message}" if where else error.message)
    return [mistake[:_SHOWN_CHARS] for mistake in mistakes[:_TOLD]]


def _errors(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[ValidationError]:
    # Where a reference names nothing, anything may stand there, as the model was told.
    for each in (lambda: schema, lambda: without_references(schema)):
        # Without a registry, jsonschema fetches what a `$ref` to an address names.
        validator = Draft202012Validator(each(), registry=Registry())
        try:
            found = list(validator.iter_errors(dict(arguments)))  # pyright: ignore[reportUnknownArgumentType]
            return cast("list[ValidationError]", found)
        except (Unresolvable, RecursionError):
            continue
    return []

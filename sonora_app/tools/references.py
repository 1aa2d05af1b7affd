"""JSON Schemas without `$ref`: what is referred to stands in its place."""

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

_MAX_WITHIN_ITSELF = 1
"""How often what refers to itself stands within itself, before the rest may be anything."""

_MAX_REFERENCES = 200
"""How many references are replaced: many that refer to each other would fill the prompt."""

_DEFINITIONS = ("$defs", "definitions")


def without_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema with what its `$ref`s name in their place, and without `$defs`.

    What refers to itself does so once, and may be anything from there on. So may what a reference
    to elsewhere would name.
    """
    whole = cast(dict[str, Any], _resolved(schema, schema, (), iter(range(_MAX_REFERENCES))))
    return {name: value for name, value in whole.items() if name not in _DEFINITIONS}


def reference_to_nothing(schema: Mapping[str, Any]) -> str | None:
    """The first `$ref` of a schema that names nothing within it; None where there is none."""
    return next((each for each in _references(schema) if _at(schema, each) is None), None)


def _references(part: Any) -> Iterator[str]:  # noqa: ANN401  # JSON
    if isinstance(part, list):
        for each in cast(list[Any], part):
            yield from _references(each)
    elif isinstance(part, Mapping):
        for name, value in cast(Mapping[str, Any], part).items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)


def _resolved(
    part: Any,  # noqa: ANN401  # JSON
    root: Mapping[str, Any],
    around: tuple[str, ...],
    left: Iterator[int],
) -> Any:  # noqa: ANN401
    if isinstance(part, list):
        return [_resolved(each, root, around, left) for each in cast(list[Any], part)]
    if not isinstance(part, Mapping):
        return part
    given = cast(Mapping[str, Any], part)
    named: Any = given.get("$ref")
    beside = {
        name: _resolved(value, root, around, left)
        for name, value in given.items()
        if name not in _DEFINITIONS and (name != "$ref" or not isinstance(named, str))
    }
    if not isinstance(named, str):
        return beside
    found = _at(root, named)
    if found is None or around.count(named) > _MAX_WITHIN_ITSELF or next(left, None) is None:
        return beside
    return {**_resolved(found, root, (*around, named), left), **beside}


def _at(root: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    """What a reference within the schema names (`#/$defs/Place`), if it is a schema."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for name in filter(None, unquote(reference[1:]).split("/")):
        key = name.replace("~1", "/").replace("~0", "~")
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return cast(Mapping[str, Any], found) if isinstance(found, Mapping) else None

"""Turns the journal's rows into records."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeVar

from loguru import logger
from pydantic import TypeAdapter

from sonora_app.storage.records import Record

_JSON_COLUMNS = frozenset({"metadata", "metrics", "images", "arguments", "state"})

_AnyRecord = TypeVar("_AnyRecord", bound=Record)


def to_records(model: type[_AnyRecord], rows: Iterable[sqlite3.Row]) -> tuple[_AnyRecord, ...]:
    """The records that `rows` hold, in their order. One that cannot be read costs only itself."""
    records: list[_AnyRecord] = []
    for row in rows:
        try:
            records.append(to_record(model, row))
        except ValueError:
            logger.warning(f"A row of the journal's {model.table} cannot be read and is left out")
    return tuple(records)


def from_json(
    adapter: TypeAdapter[list[_AnyRecord]], texts: Sequence[str]
) -> list[_AnyRecord | None]:
    """The records that `texts` hold as JSON. In the place of one that cannot be read is None."""
    try:
        return list(adapter.validate_json(f"[{','.join(texts)}]"))
    except ValueError:
        return [_one_from_json(adapter, text) for text in texts]


def _one_from_json(adapter: TypeAdapter[list[_AnyRecord]], text: str) -> _AnyRecord | None:
    try:
        return adapter.validate_json(f"[{text}]")[0]
    except ValueError:
        logger.warning("A row of the journal cannot be read and is left out")
        return None


def to_record(model: type[_AnyRecord], row: sqlite3.Row) -> _AnyRecord:
    """The record that `row` holds. Null is the field's default.

    Raises:
        ValueError: It holds none.
    """
    values = {name: row[name] for name in model.model_fields}
    for name in _JSON_COLUMNS & values.keys():
        values[name] = json.loads(values[name] or "null")
    return model.model_validate(
        {name: value for name, value in values.items() if value is not None}
    )

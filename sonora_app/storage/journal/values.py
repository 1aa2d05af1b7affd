"""How the values of a record are written: as SQLite keeps them, and as JSON."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

from pydantic_core import to_jsonable_python

_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""NUL as JSON writes it: the backslash before it is not itself escaped."""


def to_sql(value: object) -> object:
    """A field of a record, as the journal's column has it.

    Raises:
        ValueError: It holds a value that JSON has no words for.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, str):
        return _storable(str(value))
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, int):
        return value
    return to_json(value)


def to_json(value: object) -> str:
    """JSON that SQLite and PostgreSQL take: not-a-number and the infinities become null.

    Raises:
        ValueError: It holds a value that JSON has no words for.
    """
    plain = to_jsonable_python(value, inf_nan_mode="null")
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return _storable(_ESCAPED_NUL.sub(r"\1\\ufffd", text))


def _storable(text: str) -> str:
    """`text` with what is not stored everywhere replaced.

    That is NUL, which PostgreSQL does not take, and half of a surrogate pair, from a browser,
    which UTF-8 cannot hold.
    """
    text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

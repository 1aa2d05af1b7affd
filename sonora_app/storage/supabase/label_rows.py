"""Turns Supabase's rows of labels into records."""

from typing import Any, cast

from pydantic import ValidationError

from sonora_app.storage.labels import Label


def to_label(row: object) -> Label:
    """The label that a row of `labels` holds.

    Raises:
        ValueError: It is no such row. The words hold no value of it.
    """
    if not isinstance(row, dict):
        raise ValueError("not a row of labels")
    columns = cast(dict[str, Any], row)
    try:
        return Label.model_validate({name: columns.get(name) for name in Label.model_fields})
    except ValidationError:
        raise ValueError("a row of labels of another shape") from None

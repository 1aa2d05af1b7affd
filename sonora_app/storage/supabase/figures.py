"""Many calls together, as Supabase adds them up."""

from typing import Any, cast

from sonora_app.storage.figures import (
    BUCKET_MS,
    Counted,
    Figures,
    FiguresWanted,
    SumRow,
    put_together,
)
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import garbled


async def read_figures(api: SupabaseApi, wanted: FiguresWanted) -> Figures:
    """What `Store.figures` gives, without the conversations that their owner deleted.

    Raises:
        SupabaseError: They cannot be read.
    """
    asked = {
        "by": wanted.by.value,
        "since": wanted.since and wanted.since.isoformat(),
        "until": wanted.until and wanted.until.isoformat(),
        "zone": wanted.zone_minutes,
        "bucket": BUCKET_MS,
    }
    answer = await api.call("sonora_figures", {"wanted": asked})
    try:
        parts = cast(dict[str, list[list[Any]]], answer)
        return put_together(
            [SumRow(*row) for row in parts["sums"]],
            [_counted(row) for row in parts["waits"]],
            [_counted(row) for row in parts["failures"]],
        )
    except (ValueError, KeyError, TypeError):
        raise garbled() from None


def _counted(row: list[Any]) -> Counted:
    key, what, count = row
    return key, what, int(count)

"""The last resort for records that could not be shipped: the log, and the way back from it."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from uuid import UUID

from loguru import logger

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.records import Record, RecordedCall
from sonora_app.storage.supabase.past import entries_of

_PAGE = 100
_MARK = '{"unshipped": '
"""What such a line has, after whatever the log puts in front of it."""


class UnshippedLog:
    """What one process writes to its log of a journal's outbox, once each.

    The last resort where the disk goes away with the process: it holds what people said.
    """

    def __init__(self, journal: Journal) -> None:
        """Set up; `write` writes."""
        self._journal = journal
        self._generation = journal.generation
        self._written_to = 0
        self._turn = asyncio.Lock()

    async def write(self, until: int | None = None) -> int:
        """Write what waits, and what was set aside: one JSON object a line.

        What this wrote before is left out.

        Args:
            until: The position of the last entry to write; None is all.

        Returns:
            How many lines.

        Raises:
            StorageError: The journal cannot be read. What was written counts as written.
        """
        lines = 0
        async with self._turn:
            if self._generation != self._journal.generation:
                self._generation, self._written_to = self._journal.generation, 0
            outbox = self._journal.outbox
            while page := await outbox.after(self._written_to, until=until, limit=_PAGE):
                for entry, reason in page:
                    _log(entry, reason)
                lines += len(page)
                self._written_to = page[-1][0].position
        return lines


def log_records(call: RecordedCall, records: Sequence[Record]) -> None:
    """Write records of a call that are in no outbox to the log, in the same form."""
    for entry in entries_of(call, records):
        _log(entry, "the journal took nothing")


def _log(entry: Entry, reason: str | None) -> None:
    line = {
        "unshipped": entry.operation,
        "table": entry.table,
        "conversation_id": entry.conversation_id,
        "user_id": entry.user_id,
        "reason": reason,
        "payload": entry.payload,
    }
    logger.opt(raw=True).warning(f"{json.dumps(line, ensure_ascii=False, default=str)}\n")


def read_unshipped(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries that `UnshippedLog` wrote to a log, in order. Other lines are passed over.

    Args:
        lines: The lines of the log. The position of an entry is the number of its line.

    Raises:
        ValueError: A line was cut. The words name only its number.
    """
    for number, line in enumerate(lines, start=1):
        start = line.find(_MARK)
        if start < 0:
            continue
        try:
            written = cast(dict[str, Any], json.JSONDecoder().raw_decode(line, start)[0])
            conversation_id = written["conversation_id"]
            yield Entry(
                position=number,
                table=str(written["table"]),
                row_id=UUID(written["payload"].get("id", conversation_id)),
                operation=str(written["unshipped"]),
                conversation_id=UUID(conversation_id) if conversation_id else None,
                user_id=written["user_id"],
                payload=written["payload"],
            )
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"line {number} is cut or changed") from None

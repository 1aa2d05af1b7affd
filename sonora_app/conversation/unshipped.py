"""The last resort for what could not be shipped: the log."""

import json

from loguru import logger

from sonora_app.conversation.journal import Journal

_PAGE = 100


async def log_unshipped(journal: Journal) -> int:
    """Write to the log what is in the outbox or was set aside: one JSON object a line.

    The last resort where the disk goes away with the process: it holds what people said.

    Returns:
        How many lines.

    Raises:
        StorageError: The journal cannot be read.
    """
    lines = 0
    for set_aside in (False, True):
        position = 0
        while page := await journal.outbox.after(position, set_aside=set_aside, limit=_PAGE):
            for entry, reason in page:
                line = {
                    "unshipped": entry.operation,
                    "table": entry.table,
                    "conversation_id": entry.conversation_id,
                    "user_id": entry.user_id,
                    "reason": reason,
                    "payload": entry.payload,
                }
                logger.opt(raw=True).warning(
                    f"{json.dumps(line, ensure_ascii=False, default=str)}\n"
                )
            lines += len(page)
            position = page[-1][0].position
    return lines

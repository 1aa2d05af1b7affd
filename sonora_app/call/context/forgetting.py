"""Forgets all that is remembered of the person who talks, because they ask for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger

from sonora_app.errors import StorageError
from sonora_app.memories.owner import ALL
from sonora_app.memories.person import Person
from sonora_app.storage.store import Known, Recall

_READ_SECS = 8.0
"""How long reading all of it may take, in seconds. The person waits for the answer."""

_AT_ONCE = 200
"""How many facts are forgotten between two looks at the sound."""


async def forget_everything(
    person: Person, read: Callable[[Recall], Awaitable[Known]]
) -> dict[str, Any]:
    """Forget all that is remembered of a person, what held before included.

    Args:
        person: The person.
        read: Reads what is remembered of them.

    Returns:
        What the model is told of it.
    """
    try:
        async with asyncio.timeout(_READ_SECS):
            known = await read(Recall(limit=ALL, past=True, whole=True))
    except (StorageError, TimeoutError) as error:
        logger.warning(
            f"All of a person cannot be forgotten now: {str(error) or 'it takes too long'}"
        )
        return {"status": "failed", "note": "Nothing was forgotten: it cannot be done right now."}
    told = [memory for _, memory in person.facts]
    # Most of them were told to nobody in this call.
    untold = [memory for memory in known.memories if person.facts.number_of(memory) is None]
    person.more = False
    person.forget(told)
    for start in range(0, len(untold), _AT_ONCE):
        person.forget(untold[start : start + _AT_ONCE], untold=True)
        await asyncio.sleep(0)
    count = len(told) + len(untold)
    logger.info(f"All {count} facts of a person were forgotten")
    facts = [memory.content for memory in told]
    return (
        {"status": "forgotten", "facts": facts, "count": count}
        if count
        else {"status": "nothing_found"}
    )

"""A process that writes to a journal until it is killed or has written what it was asked to.

Says on its standard output what is on the disk: `open <session>`, then `kept <ids>` after each
batch, then `done`; and stays until its standard input ends.
"""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    Message,
    Record,
    Session,
    Transition,
    utc_now,
    uuid7,
)


def say(line: str) -> None:
    # One system call: a kill leaves the whole line or none of it.
    os.write(1, f"{line}\n".encode())


def batch(conversation_id: UUID, session_id: UUID, number: int) -> list[Message | Transition]:
    """Two turns and a step of the flow, which are kept together or not at all."""
    both: list[Message | Transition] = [
        Message(
            id=uuid7(),
            conversation_id=conversation_id,
            session_id=session_id,
            seq=2 * number + turn,
            role=role,
            content=f"batch {number} " + "word " * 200,
            metadata={"batch": number},
            created_at=utc_now(),
        )
        for turn, role in ((1, "user"), (2, "assistant"))
    ]
    step = Transition(
        id=uuid7(),
        conversation_id=conversation_id,
        session_id=session_id,
        seq=number + 1,
        from_node="a",
        to_node="b",
        trigger="t",
        arguments={"batch": number},
        created_at=utc_now(),
    )
    return [*both, step]


async def main(path: Path, conversation_id: UUID, batches: int) -> None:
    journal = await Journal.connect(path, outbox=True)
    now = utc_now()
    call = Session(
        id=uuid7(),
        conversation_id=conversation_id,
        transport="test",
        started_at=now,
        app_version="test",
    )
    opening: list[Record] = [
        Conversation(id=conversation_id, user_id="ana", created_at=now, updated_at=now),
        call,
    ]
    await journal.write(opening)
    say(f"open {call.id}")
    for number in range(batches):
        records = batch(conversation_id, call.id, number)
        await journal.write(records)
        say(f"kept {' '.join(str(record.id) for record in records)}")
    say("done")
    await asyncio.to_thread(sys.stdin.read)
    await journal.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), UUID(sys.argv[2]), int(sys.argv[3])))

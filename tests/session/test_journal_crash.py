"""The journal between processes: one that is killed, and several at once."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    Session,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.session

ENDLESS = 1_000_000
LONGEST_SECS = 60.0


class Writer:
    """A process that runs `journal_writer`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.kept: list[UUID] = []
        self.session_id: UUID | None = None

    def lines(self) -> Iterator[str]:
        """Each thing that it says, until it ends. What it says it kept is noted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *ids = line.split()
            if word == "open":
                self.session_id = UUID(ids[0])
            elif word == "kept":
                self.kept += [UUID(one) for one in ids]
            yield word

    def wait_for(self, word: str, times: int = 1) -> None:
        said: list[str] = []
        for line in self.lines():
            said.append(line)
            if said.count(word) == times:
                return
        pytest.fail(f"the writer ended after saying {said[-5:]}")

    def kill(self, *, after_secs: float = 0.0) -> None:
        """End it with SIGKILL, and hear what it had said until then."""
        time.sleep(after_secs)
        self.process.send_signal(signal.SIGKILL)
        Counter(self.lines())
        assert self.process.wait(timeout=30) == -signal.SIGKILL


@contextmanager
def writing(path: Path, conversation_id: UUID, *, batches: int) -> Generator[Writer]:
    script = Path(__file__).with_name("journal_writer.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(path), str(conversation_id), str(batches)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # A writer that hangs ends its test instead of holding it up.
    watchdog = threading.Timer(LONGEST_SECS, process.kill)
    watchdog.start()
    try:
        yield Writer(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate(timeout=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


def locks(path: Path) -> int:
    return len(list((path.parent / "processes").iterdir()))


def outbox(path: Path) -> Counter[UUID | None]:
    with closing(sqlite3.connect(path)) as connection:
        return Counter(UUID(row[0]) for row in connection.execute("SELECT row_id FROM outbox"))


async def live_session(journal: Journal) -> tuple[UUID, UUID]:
    """A conversation of this process and its session, which nobody may close."""
    now = utc_now()
    kept = Conversation(id=uuid7(), created_at=now, updated_at=now)
    call = Session(
        id=uuid7(), conversation_id=kept.id, transport="test", started_at=now, app_version="test"
    )
    await journal.write([kept, call])
    return kept.id, call.id


@pytest.mark.parametrize("seed", range(24))
async def test_a_killed_writer_loses_nothing_that_it_was_told_is_kept(path: Path, seed: int):
    moment = random.Random(seed)
    journal = await Journal.connect(path, outbox=True)
    mine = await live_session(journal)
    conversation_id = uuid7()
    with writing(path, conversation_id, batches=ENDLESS) as writer:
        writer.wait_for("open")
        batches = moment.randrange(12)
        if batches:
            writer.wait_for("kept", times=batches)
        # A batch takes a millisecond or so: the kill falls anywhere in one.
        writer.kill(after_secs=moment.uniform(0, 0.004))

    reopened = await Journal.connect(path, outbox=True)
    transcript = await reopened.transcript(conversation_id)
    assert transcript is not None
    messages, transitions = transcript.messages, transcript.transitions
    there = {one.id for one in (*messages, *transitions)}
    assert set(writer.kept) <= there
    # What was committed and not yet said: one batch at the most.
    assert len(there) - len(writer.kept) in (0, 3)
    in_batch = Counter(one.metadata["batch"] for one in messages)
    in_batch.update(one.arguments["batch"] for one in transitions)
    assert set(in_batch.values()) <= {3}
    assert [one.seq for one in messages] == list(range(1, len(messages) + 1))
    opening = (await reopened.look_up(conversation_id, "ana", message_limit=0)).opening
    assert opening is not None
    assert opening.last_message_seq == opening.older_messages == len(messages)
    assert opening.last_transition_seq == len(transitions)
    assert outbox(path) == Counter([*there, conversation_id, writer.session_id, *mine])

    assert await reopened.close_orphans() == [writer.session_id]
    await reopened.aclose()
    await journal.aclose()


async def test_only_the_session_of_the_killed_process_is_closed(path: Path):
    journal = await Journal.connect(path)
    mine = await live_session(journal)
    dying, living = uuid7(), uuid7()
    with (
        writing(path, dying, batches=ENDLESS) as killed,
        writing(path, living, batches=3) as other,
    ):
        killed.wait_for("kept", times=3)
        other.wait_for("done")
        assert await journal.close_orphans() == []
        assert locks(path) == 3
        killed.kill()
        assert await journal.close_orphans() == [killed.session_id]
        assert locks(path) == 2
        assert await journal.close_orphans() == []

        transcript = await journal.transcript(dying)
        assert transcript is not None
        (call,) = transcript.sessions
        assert call.end_reason is EndReason.CRASHED
        assert call.ended_at == transcript.messages[-1].created_at
        assert transcript.conversation.status is ConversationStatus.FAILED
        for conversation_id in (mine[0], living):
            untouched = await journal.transcript(conversation_id)
            assert untouched is not None
            assert untouched.sessions[0].ended_at is None
            assert untouched.conversation.status is ConversationStatus.ACTIVE
    await journal.aclose()


async def test_a_frozen_process_is_not_a_dead_one(path: Path):
    journal = await Journal.connect(path)
    with writing(path, uuid7(), batches=1) as writer:
        writer.wait_for("done")
        writer.process.send_signal(signal.SIGSTOP)
        assert await journal.close_orphans() == []
    assert await journal.close_orphans() == [writer.session_id]
    await journal.aclose()


async def test_processes_may_start_and_write_at_once(path: Path):
    """They make the journal together, and share one conversation."""
    shared = uuid7()
    with (
        writing(path, shared, batches=30) as one,
        writing(path, shared, batches=30) as two,
        writing(path, shared, batches=30) as three,
    ):
        for writer in (one, two, three):
            writer.wait_for("done")
        reader = await Journal.connect(path, read_only=True)
        transcript = await reader.transcript(shared)
        await reader.aclose()
    assert transcript is not None
    there = {record.id for record in (*transcript.messages, *transcript.transitions)}
    assert there == {*one.kept, *two.kept, *three.kept}
    assert len(there) == 3 * 30 * 3
    for writer in (one, two, three):
        theirs = [one for one in transcript.messages if one.session_id == writer.session_id]
        assert [message.seq for message in theirs] == list(range(1, 61))


async def test_what_is_read_while_another_process_writes_is_whole(path: Path):
    conversation_id = uuid7()
    with writing(path, conversation_id, batches=ENDLESS) as writer:
        writer.wait_for("open")
        before = locks(path)
        reader = await Journal.connect(path, read_only=True)
        counts: list[int] = []
        async with asyncio.timeout(LONGEST_SECS):
            while len(set(counts)) < 10:
                transcript = await reader.transcript(conversation_id)
                assert transcript is not None
                assert len(transcript.messages) == 2 * len(transcript.transitions)
                counts.append(len(transcript.messages))
        assert counts == sorted(counts)
        assert locks(path) == before
        await reader.aclose()
        writer.kill()
    # The dead process left its log behind: it is read from there.
    late = await Journal.connect(path, read_only=True)
    transcript = await late.transcript(conversation_id)
    assert transcript is not None
    assert {*writer.kept} <= {one.id for one in (*transcript.messages, *transcript.transitions)}
    await late.aclose()

"""What the journal does not take stays in memory, and is lost nowhere while the process lives."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from loguru import logger

from simulators.clients.waiting import Waiting
from sonora_app.errors import StorageError
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import Conversation, EndReason, Role, utc_now, uuid7
from sonora_app.storage.supabase.unshipped import log_records, read_unshipped
from tests.full_disk import fill_up, free_space, small_disk
from tests.unit.test_recorder import opened

pytestmark = pytest.mark.unit

LONG = "palabra " * 2_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(path)
    yield journal
    await journal.aclose()


@pytest.fixture
def logged() -> Generator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO", format="{level} {message}")
    yield lines
    logger.remove(sink)


async def said(journal: Journal, conversation_id: UUID) -> list[str | None]:
    transcript = await journal.transcript(conversation_id)
    return [message.content for message in transcript.messages] if transcript else []


async def until_said(journal: Journal, conversation_id: UUID, words: list[str]) -> None:
    try:
        async with asyncio.timeout(30):
            while await said(journal, conversation_id) != words:
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert await said(journal, conversation_id) == words


def hold_call(recorder: Recorder, words: list[str]) -> None:
    for word in words:
        recorder.message(Role.USER, word, node="conversation")
    recorder.describe(title="Una charla", summary=LONG)
    recorder.end(EndReason.GOODBYE, metrics={})


async def test_a_call_that_ends_on_a_full_disk_is_kept_once_there_is_space(
    journal: Journal, logged: list[str]
):
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    words = [f"{number} {LONG}" for number in range(5)]
    recorder.message(Role.USER, words[0], node="conversation")
    async with asyncio.timeout(30):
        while recorder.pending:
            await asyncio.sleep(0.01)
    await fill_up(journal)
    hold_call(recorder, words[1:])
    assert await recorder.aclose(timeout_secs=0.2) == 7
    assert any("7 records" in line and "wait in memory" in line for line in logged)
    assert await said(journal, conversation.conversation_id) == words[:1]
    # Another call is not held up, and comes after.
    other = await opened(journal)
    later = Recorder(journal, other)
    hold_call(later, ["una palabra"])
    await later.aclose(timeout_secs=0.2)
    await free_space(journal)
    await until_said(journal, conversation.conversation_id, words)
    await until_said(journal, other.conversation_id, ["una palabra"])
    transcript = await journal.transcript(conversation.conversation_id)
    assert transcript is not None
    assert transcript.conversation.summary == LONG
    assert transcript.sessions[0].end_reason == EndReason.GOODBYE
    assert LONG not in "".join(logged)


async def test_the_next_call_comes_after_what_waits_in_memory(journal: Journal):
    """By number and by time, also where the clock was ahead and has been set back since."""
    conversation = await opened(journal)
    earlier = Recorder(journal, conversation)
    ahead = utc_now() + timedelta(hours=1)
    earlier.message(Role.USER, "uno", node="conversation", started_at=ahead)
    await earlier.drain(timeout_secs=5)
    await fill_up(journal)
    later_words = [f"{number} {LONG}" for number in range(3)]
    for number, word in enumerate(later_words, 1):
        moment = ahead + timedelta(seconds=number)
        earlier.message(Role.USER, word, node="conversation", started_at=moment)
    earlier.end(EndReason.CLIENT_LEFT, metrics={})
    assert await earlier.aclose(timeout_secs=0.2) == 5

    next_call = await opened(journal, conversation_id=conversation.conversation_id)
    recorder = Recorder(journal, next_call)
    recorder.message(Role.USER, "otra vez", node="conversation")
    await free_space(journal)
    await until_said(journal, conversation.conversation_id, ["uno", *later_words, "otra vez"])
    transcript = await journal.transcript(conversation.conversation_id)
    assert transcript is not None
    numbers = [message.seq for message in transcript.messages]
    assert numbers == sorted({number for number in numbers if number is not None})
    await recorder.aclose(timeout_secs=5)


async def test_what_a_call_describes_is_kept_also_where_the_next_holds_the_conversation(
    journal: Journal,
):
    conversation = await opened(journal)
    earlier = Recorder(journal, conversation)
    earlier.message(Role.USER, "uno", node="conversation")
    await earlier.drain(timeout_secs=5)
    await fill_up(journal)
    earlier.describe(title="Una charla", summary=LONG)
    earlier.end(EndReason.TAKEN_OVER, metrics={})
    assert await earlier.aclose(timeout_secs=0.2)

    next_call = await opened(journal, conversation_id=conversation.conversation_id)
    recorder = Recorder(journal, next_call)
    recorder.transition("waiting", "conversation", trigger="set_conversation_id", arguments={})
    await free_space(journal)
    await recorder.drain(timeout_secs=5)
    transcript = await journal.transcript(conversation.conversation_id)
    assert transcript is not None
    assert [step.to_node for step in transcript.transitions] == ["conversation"]
    assert transcript.conversation.summary == LONG
    await recorder.aclose(timeout_secs=5)


async def test_a_disk_that_is_really_full(tmp_path: Path):
    with small_disk(tmp_path / "disk", 1_024) as mounted:
        if not mounted:
            pytest.skip("may not mount a small disk")
        journal = await Journal.connect(tmp_path / "disk" / "journal.db")
        filler = tmp_path / "disk" / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 1_024 * 1_024)
        conversation = await opened(journal)
        recorder = Recorder(journal, conversation)
        words = [f"{number} {LONG}" for number in range(10)]
        hold_call(recorder, words)
        assert await recorder.aclose(timeout_secs=0.5) > 0
        filler.unlink()
        await until_said(journal, conversation.conversation_id, words)
        await journal.aclose()


async def test_what_can_be_written_nowhere_is_said_at_exit_and_goes_to_the_log(
    path: Path, logged: list[str]
):
    journal = await Journal.connect(path)
    journal.unwritten.to_log = log_records
    conversation = await opened(journal)
    await fill_up(journal)
    recorder = Recorder(journal, conversation)
    hold_call(recorder, ["uno " + LONG, "dos"])
    # The conversation and the session may fit into pages that are there.
    left = await recorder.aclose(timeout_secs=0.2)
    assert left >= 5
    await journal.aclose()
    assert any(line.startswith("ERROR") and f"{left} records" in line for line in logged)
    entries = list(read_unshipped("".join(logged).splitlines()))
    # At the end of the call, since the machine may vanish with it, and at the end of the process.
    assert [entry.payload.get("content") for entry in entries if entry.table == "messages"] == [
        "uno " + LONG,
        "dos",
    ] * 2
    assert {entry.user_id for entry in entries} == {"ana"}
    assert {entry.conversation_id for entry in entries} == {conversation.conversation_id}


async def test_at_exit_everything_is_tried_once_more(path: Path, logged: list[str]):
    journal = await Journal.connect(path)
    conversation = await opened(journal)
    await fill_up(journal)
    recorder = Recorder(journal, conversation)
    hold_call(recorder, ["uno " + LONG])
    assert await recorder.aclose(timeout_secs=2.5) > 0
    await free_space(journal)
    # The next attempt of its own accord would come seconds later.
    waiting = Waiting()
    await journal.aclose()
    assert waiting.secs() < 2
    assert not any("lost" in line for line in logged)
    journal = await Journal.connect(path, read_only=True)
    assert await said(journal, conversation.conversation_id) == ["uno " + LONG]
    await journal.aclose()


async def test_what_waits_is_bounded_and_the_oldest_words_go_first(
    journal: Journal, logged: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(journal.unwritten, "_most_bytes", 220_000)
    await fill_up(journal)
    first, second = await opened(journal), await opened(journal)
    recorders = [Recorder(journal, first), Recorder(journal, second)]
    words = [f"{number} {LONG}" for number in range(12)]
    for recorder in recorders:
        for word in words:
            recorder.message(Role.USER, word, node="conversation")
        await recorder.aclose(timeout_secs=0.3)
    assert any("lost" in line and "wait in memory" in line for line in logged)
    await free_space(journal)
    # Twelve of these turns fit in: the later call keeps all of its own.
    await until_said(journal, second.conversation_id, words)
    left = await said(journal, first.conversation_id)
    assert len(left) < len(words)
    assert left == words[len(words) - len(left) :]


# A journal that is gone


def remove(path: Path, what: str) -> None:
    if what == "the file":
        path.unlink()
    elif what == "all its files":
        for file in path.parent.glob("journal.db*"):
            file.unlink()
    else:
        shutil.rmtree(path.parent)


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def content(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("what", ["the file", "all its files", "the folder"])
async def test_a_journal_that_is_deleted_is_begun_anew_and_calls_go_on(
    journal: Journal, path: Path, logged: list[str], what: str
):
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    recorder.message(Role.USER, "antes", node="conversation")
    while recorder.pending:
        await asyncio.sleep(0.01)
    remove(path, what)
    hold_call(recorder, ["después"])
    assert await recorder.aclose(timeout_secs=5) == 0
    assert any("was deleted or replaced" in line for line in logged)
    # What had been written went with the file; the rest of the call is whole.
    transcript = await journal.transcript(conversation.conversation_id)
    assert transcript is not None
    assert [(one.seq, one.content) for one in transcript.messages] == [(2, "después")]
    assert transcript.conversation.user_id == "ana"
    assert [one.end_reason for one in transcript.sessions] == [EndReason.GOODBYE]
    await journal.aclose()
    again = await Journal.connect(path, read_only=True)
    assert await said(again, conversation.conversation_id) == ["después"]
    await again.aclose()


async def test_a_journal_that_is_replaced_is_used_from_then_on(tmp_path: Path, logged: list[str]):
    path, other = tmp_path / "a" / "journal.db", tmp_path / "b" / "journal.db"
    backup = await Journal.connect(other)
    old = Conversation(id=uuid7(), user_id="ana", created_at=utc_now(), updated_at=utc_now())
    await backup.write([old])
    await backup.aclose()
    journal = await Journal.connect(path)
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    hold_call(recorder, ["uno"])
    while recorder.pending:
        await asyncio.sleep(0.01)
    # The old log lies beside the new file: nothing of it may get into the new one.
    other.rename(path)
    recorder.message(Role.USER, "dos", node="conversation")
    assert await recorder.aclose(timeout_secs=5) == 0
    kept = {one.conversation.id for one in await journal.conversations()}
    assert kept == {old.id, conversation.conversation_id}
    assert await said(journal, conversation.conversation_id) == ["dos"]
    assert any("was deleted or replaced" in line for line in logged)
    await journal.aclose()
    again = await Journal.connect(path)
    assert await said(again, conversation.conversation_id) == ["dos"]
    await again.aclose()


async def test_while_what_stands_there_is_no_journal_everything_waits(path: Path):
    journal = await Journal.connect(path)
    conversation = await opened(journal)
    notes = b"somebody's notes" * 1_000
    replace(path, notes)
    recorder = Recorder(journal, conversation)
    hold_call(recorder, ["uno"])
    assert await recorder.aclose(timeout_secs=0.3) > 0
    with pytest.raises(StorageError, match="not a journal"):
        await journal.conversations()
    assert content(path) == notes
    remove(path, "the file")
    await until_said(journal, conversation.conversation_id, ["uno"])
    await journal.aclose()


async def test_two_processes_on_a_journal_that_is_deleted_go_on_together(path: Path):
    first, second = await Journal.connect(path), await Journal.connect(path)
    conversations = [await opened(first), await opened(second)]
    recorders = [Recorder(first, conversations[0]), Recorder(second, conversations[1])]
    remove(path, "the file")
    # Both notice at once: what one has just begun is not the old one, which the other removes.
    async with asyncio.timeout(30):
        for number in range(5):
            for recorder in recorders:
                recorder.message(Role.USER, f"{number}", node="conversation")
                while recorder.pending:
                    await asyncio.sleep(0.01)
    assert (first.generation, second.generation) == (1, 1)
    for recorder in recorders:
        assert await recorder.aclose(timeout_secs=5) == 0
    await first.aclose()
    await second.aclose()
    journal = await Journal.connect(path, read_only=True)
    for conversation in conversations:
        assert await said(journal, conversation.conversation_id) == list("01234")
    await journal.aclose()

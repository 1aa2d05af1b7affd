"""Records reach the store in order, and wait for it when it is busy."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from loguru import logger

from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest, open_conversation
from sonora_app.errors import ConversationRefusedError, StorageError
from sonora_app.settings import Language, Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import EndReason, Record, Role
from sonora_app.storage.side_loop import Signal
from sonora_app.storage.store import Transcript

pytestmark = pytest.mark.unit

SETTINGS = Settings.model_validate({"ENV": "local"})


async def opened(store: Journal, **claim: Any) -> OpenedConversation:
    asked = OpeningRequest(**{"conversation_id": None, "user_id": "ana", **claim})
    return open_conversation(
        asked,
        await store.look_up(asked.conversation_id, asked.user_id, message_limit=40),
        settings=SETTINGS,
        transport="test",
        app_version="0",
    )


async def kept(store: Journal, conversation: OpenedConversation) -> Transcript:
    transcript = await store.transcript(conversation.conversation_id)
    assert transcript is not None
    return transcript


async def test_a_call_comes_after_the_last_step_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock was ahead then, and the step came after the last that was said."""
    journal = await Journal.connect(tmp_path / "journal.db")
    earlier = await opened(journal)
    recorder = Recorder(journal, earlier)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    recorder.message(Role.ASSISTANT, "Adiós", node="farewell", started_at=ahead)
    with monkeypatch.context() as clock:
        clock.setattr("sonora_app.storage.recorder.utc_now", lambda: ahead + timedelta(seconds=3))
        recorder.transition("conversation", "farewell", trigger="say_goodbye", arguments={})
        recorder.end(EndReason.GOODBYE, metrics={})
        await recorder.aclose(timeout_secs=5)

    later = await opened(journal, conversation_id=earlier.conversation_id)
    recorder = Recorder(journal, later)
    recorder.transition("waiting", "greeting", trigger="set_conversation_id", arguments={})
    recorder.message(Role.ASSISTANT, "Hola", node="greeting")
    recorder.transition("greeting", "conversation", trigger="greeting_finished", arguments={})
    recorder.transition("conversation", "farewell", trigger="service_failed", arguments={})
    recorder.end(EndReason.ERROR, metrics={})
    await recorder.aclose(timeout_secs=5)

    latest = await opened(journal, conversation_id=earlier.conversation_id)
    recorder = Recorder(journal, latest)
    recorder.transition("waiting", "greeting", trigger="set_conversation_id", arguments={})
    await recorder.aclose(timeout_secs=5)

    transcript = await kept(journal, latest)
    assert [step.to_node for step in transcript.transitions] == [
        "farewell",
        *("greeting", "conversation", "farewell"),
        "greeting",
    ]
    assert [message.content for message in transcript.messages] == ["Adiós", "Hola"]
    assert [step.seq for step in transcript.transitions] == [1, 2, 3, 4, 5]
    times = [step.created_at for step in transcript.transitions]
    assert times == sorted(set(times))
    await journal.aclose()


class BusyStore:
    """A real journal whose writes fail until `recover` is called."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.failing = True
        self.attempts = 0
        self.retried = Signal()
        self.side = journal.side
        self.generation = 0
        self.unwritten = journal.unwritten

    async def write(self, records: Sequence[Record]) -> None:
        self.attempts += 1
        if self.attempts > 1:
            self.retried.set()
        if self.failing:
            raise StorageError("The disk is full.")
        await self.journal.write(records)


async def test_a_call_is_kept_as_it_went(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    recorder.message(Role.ASSISTANT, "Hola", node="greeting")
    recorder.transition("greeting", "conversation", trigger="greeting_finished", arguments={})
    recorder.message(Role.USER, "Buenas", node="conversation")
    recorder.message(Role.ASSISTANT, "¿Qué", node="conversation", interrupted=True)
    recorder.describe(language="en")
    recorder.describe(title="Saludos", summary="Se saludaron.", topics=["saludos"], outcome="x")
    recorder.end(EndReason.GOODBYE, metrics={"turns_answered": 1})
    assert await recorder.aclose(timeout_secs=5) == 0

    transcript = await kept(journal, conversation)
    assert [(m.seq, m.role, m.content, m.interrupted) for m in transcript.messages] == [
        (1, "assistant", "Hola", False),
        (2, "user", "Buenas", False),
        (3, "assistant", "¿Qué", True),
    ]
    assert (transcript.conversation.title, transcript.conversation.language) == ("Saludos", "en")
    assert transcript.conversation.metadata == {"topics": ["saludos"], "outcome": "x"}
    assert transcript.conversation.status == "completed"
    assert transcript.sessions[0].end_reason == EndReason.GOODBYE
    assert transcript.sessions[0].metrics == {"turns_answered": 1}
    await journal.aclose()


async def test_a_second_call_goes_on_counting(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    first = await opened(journal)
    recorder = Recorder(journal, first)
    recorder.message(Role.USER, "uno", node=None)
    recorder.end(EndReason.GOODBYE, metrics={})
    await recorder.aclose(timeout_secs=5)
    second = await opened(journal, conversation_id=first.conversation_id)
    assert second.resumed
    assert second.returning
    assert second.history == ({"role": "user", "content": "uno"},)
    recorder = Recorder(journal, second)
    recorder.message(Role.USER, "dos", node=None)
    await recorder.aclose(timeout_secs=5)
    transcript = await kept(journal, first)
    assert [(m.seq, m.content) for m in transcript.messages] == [(1, "uno"), (2, "dos")]
    assert len(transcript.sessions) == 2
    await journal.aclose()


async def test_a_turn_is_never_stored_before_the_one_it_answers(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    now = datetime.now(UTC)
    recorder.message(Role.USER, "a", node=None, started_at=now)
    recorder.message(Role.ASSISTANT, "b", node=None, started_at=now - timedelta(seconds=5))
    await recorder.aclose(timeout_secs=5)
    moments = [m.created_at for m in (await kept(journal, conversation)).messages]
    assert moments == sorted(moments)
    assert len(set(moments)) == 2
    await journal.aclose()


async def test_a_busy_store_is_waited_for_and_the_page_told(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    store = BusyStore(journal)
    conversation = await opened(journal)
    health: list[tuple[str, int]] = []
    written: list[Record] = []
    recorder = Recorder(
        store,  # type: ignore[arg-type]
        conversation,
        on_written=written.append,
        on_health=lambda state, pending: health.append((state, pending)),
    )
    recorder.message(Role.USER, "sigo aquí", node=None)
    async with asyncio.timeout(30):
        await store.retried.wait()
    assert not written
    store.failing = False
    assert await recorder.aclose(timeout_secs=10) == 0
    assert [state for state, _ in health] == ["delayed", "ok"]
    (message,) = (await kept(journal, conversation)).messages
    assert message.content == "sigo aquí"
    assert message in written
    await journal.aclose()


async def test_a_dead_store_does_not_hold_the_end_of_the_call_and_gets_it_later(
    tmp_path: Path,
) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    store = BusyStore(journal)
    conversation = await opened(journal)
    recorder = Recorder(store, conversation)  # type: ignore[arg-type]
    recorder.message(Role.USER, "se guarda más tarde", node=None)
    assert await recorder.aclose(timeout_secs=0.1) == 4  # conversation, session, position, message
    store.failing = False
    async with asyncio.timeout(30):
        while await journal.transcript(conversation.conversation_id) is None:
            await asyncio.sleep(0.02)
    (message,) = (await kept(journal, conversation)).messages
    assert message.content == "se guarda más tarde"
    await journal.aclose()


async def test_a_record_that_is_refused_for_good_holds_up_nothing_else(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    recorder.message(Role.USER, "uno", node=None)
    recorder.message(Role.USER, "dos", node=None, metadata={"no JSON": object()})
    recorder.message(Role.USER, "tres", node=None)
    assert await recorder.aclose(timeout_secs=5) == 0
    assert [m.content for m in (await kept(journal, conversation)).messages] == ["uno", "tres"]
    await journal.aclose()


async def test_what_no_record_can_be_made_of_leaves_no_gap(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    conversation = await opened(journal)
    recorder = Recorder(journal, conversation)
    logged: list[str] = []
    sink = logger.add(logged.append)
    try:
        recorder.message(Role.USER, "uno", node=None)
        recorder.message(Role.USER, "un secreto", node=["no text"])  # type: ignore[arg-type]
        recorder.message(Role.USER, "tres", node=None)
        assert await recorder.aclose(timeout_secs=5) == 0
    finally:
        logger.remove(sink)
    transcript = await kept(journal, conversation)
    assert [(m.seq, m.content) for m in transcript.messages] == [(1, "uno"), (2, "tres")]
    assert "Wrong in it: node" in "".join(logged)
    assert "secreto" not in "".join(logged)
    await journal.aclose()


async def test_nobody_opens_what_is_somebody_elses(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    theirs = await opened(journal)
    await journal.write(theirs.records)
    with pytest.raises(ConversationRefusedError) as refused:
        await opened(journal, user_id="berta", conversation_id=theirs.conversation_id)
    assert "ana" not in str(refused.value)
    await journal.aclose()


async def test_a_new_conversation_of_a_known_user_is_a_return(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    first = await opened(journal)
    recorder = Recorder(journal, first)
    recorder.message(Role.USER, "hola", node=None)
    recorder.describe(title="Un viaje", summary="Planea un viaje.", topics=["Oaxaca"])
    await recorder.aclose(timeout_secs=5)
    second = await opened(journal)
    assert second.conversation_id != first.conversation_id
    assert not second.resumed
    assert second.returning
    assert second.facts.topic == "Oaxaca"
    assert second.facts.last_talk_at is not None
    assert second.summary == "Planea un viaje."
    stranger = await opened(journal, user_id="berta")
    assert not stranger.returning
    assert stranger.summary is None
    await journal.aclose()


async def test_the_language_is_the_pages_then_the_conversations_then_the_default(
    tmp_path: Path,
) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    plain = await opened(journal)
    assert plain.language is Language.ES
    english = await opened(journal, conversation_id=uuid4(), language="en")
    await journal.write(english.records)
    again = await opened(journal, conversation_id=english.conversation_id)
    assert again.language is Language.EN
    await journal.aclose()

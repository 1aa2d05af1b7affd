"""People who come back to a conversation: by a reload, another tab, after a crash.

They are put back where the talk was, and one call at a time holds a conversation.
"""

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import Page, page
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.records import ConversationStatus, EndReason, Role
from sonora_app.storage.store import Transcript
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session

ES = Lines(Language.ES)
STILL_HERE = ES.text("still_here")
GREETING = ES.text("greeting.new")
BACK_SECS = 2.0
"""How long after a new call asked for its conversation the bot may take to be heard."""


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    with running_bot(
        tmp_path_factory.mktemp("bot"), SONORA_WAITING_SECS="60", SONORA_IDLE_SECS="3"
    ) as process:
        yield process


@dataclass
class Opened:
    """A conversation as a page opened it."""

    ready: dict[str, Any]
    asked_at: float

    @property
    def id(self) -> UUID:
        return UUID(self.ready["conversation_id"])


async def open_conversation(client: Page, conversation_id: UUID | None = None) -> Opened:
    await client.ready()
    asked_at = time.monotonic()
    whose = {"user_id": "ana", "conversation_id": str(conversation_id) if conversation_id else None}
    answer = await client.action("set_conversation_id", **whose)
    assert answer["type"] == "server-response", answer
    return Opened(answer["data"]["d"], asked_at)


async def talking(client: Page, opened: Opened) -> None:
    """Be in the middle of an answer of the bot's."""
    if opened.ready["node"] == "greeting":
        await client.event("node-changed", node="conversation", timeout_secs=30)
    await client.silence(0.6)
    so_far = len(client.messages)
    client.type_text("Cuéntame algo.")
    await client.wait_for(
        lambda message: message["type"] == "bot-started-speaking", after=so_far, timeout_secs=30
    )
    await asyncio.sleep(1.0)


async def put_back(client: Page, conversation_id: UUID, *, node: str = "conversation") -> Opened:
    """Come back to a conversation, and hear that the bot is still there."""
    opened = await open_conversation(client, conversation_id)
    assert opened.ready["put_back"], opened.ready
    assert (opened.ready["resumed"], opened.ready["node"]) == (True, node)
    heard_at = await client.sound(since=opened.asked_at)
    assert heard_at - opened.asked_at < BACK_SECS
    return opened


async def ended(bot: BotProcess, conversation_id: UUID, calls: int) -> Transcript:
    """What is kept, once all its calls have ended."""
    async with asyncio.timeout(20):
        while True:
            transcript = await transcript_of(bot, conversation_id)
            over = [session for session in transcript.sessions if session.ended_at]
            if len(over) == len(transcript.sessions) == calls:
                return transcript
            await asyncio.sleep(0.1)


def check_one_talk(transcript: Transcript) -> list[tuple[str, str]]:
    """See that it reads as one talk, with one greeting. Gives who said what."""
    said = [(message.role, message.content or "") for message in transcript.messages]
    words = [content for _, content in said]
    assert sum(content.startswith("Hola") for content in words) <= 1, said
    assert not set(words) & set(ES.all("nudge")), said
    for rows in (transcript.messages, transcript.transitions):
        numbers = [row.seq for row in rows]
        assert numbers == sorted(set(numbers), key=lambda number: number or 0), numbers
    return said


async def test_a_reload_in_mid_answer_goes_on_where_the_talk_was(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        assert not first.ready["put_back"]
        await talking(old, first)
        # The tab is gone without a word, as far as the bot knows.
        old.vanish()
        async with page(bot.url) as new:
            await put_back(new, first.id)
            await new.event("message-recorded", role=Role.ASSISTANT)
            # Longer than the silence after which a call that went on would ask.
            new.type_text("Sigamos.")
            await new.event("message-recorded", role=Role.USER)
    transcript = await ended(bot, first.id, 2)
    said = check_one_talk(transcript)
    assert [session.end_reason for session in transcript.sessions] == [
        EndReason.TAKEN_OVER,
        EndReason.CLIENT_LEFT,
    ]
    cut = transcript.messages[2]
    assert cut.interrupted
    assert said[3] == (Role.ASSISTANT, STILL_HERE)
    assert said[4] == (Role.USER, "Sigamos.")
    assert [message.seq for message in transcript.messages[:5]] == [1, 2, 3, 4, 5]


async def test_a_second_tab_takes_over_and_the_first_is_told(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        await old.event("node-changed", node="conversation", timeout_secs=30)
        async with page(bot.url) as new:
            await put_back(new, first.id)
            told = await old.event("conversation-ended", timeout_secs=2)
            assert (told["reason"], told["status"]) == (EndReason.TAKEN_OVER, "active")
            async with asyncio.timeout(3):
                await old.closed.wait()
    transcript = await ended(bot, first.id, 2)
    check_one_talk(transcript)
    assert transcript.conversation.status is ConversationStatus.ABANDONED


async def test_nobody_elses_call_is_taken_over(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        async with page(bot.url) as stranger:
            await stranger.ready()
            refused = await stranger.action(
                "set_conversation_id", user_id="eva", conversation_id=str(first.id)
            )
            assert refused["data"]["code"] == "conversation_refused"
        await old.event("node-changed", node="conversation", timeout_secs=30)
        assert not old.closed.is_set()
        assert old.events("conversation-ended") == []

"""What the tests share in which people come back to a conversation."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from simulators.clients.bot_process import BotProcess
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.records import EndReason
from sonora_app.storage.store import Transcript
from tests.session.conftest import transcript_of

ES = Lines(Language.ES)
STILL_HERE = ES.text("still_here")
GREETING = ES.text("greeting.new")
BACK_SECS = 2.0
"""How long after a new call is connected the bot may take to be heard."""


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
    await in_an_answer(client)


async def in_an_answer(client: Page) -> None:
    """Ask for something, and be in the middle of the answer."""
    await client.silence(0.6)
    so_far = len(client.messages)
    client.type_text("Cuéntame algo.")
    await client.told_words(3, after=so_far)


async def put_back(
    bot: BotProcess, client: Page, conversation_id: UUID, *, node: str = "conversation"
) -> Opened:
    """Come back to a conversation, and hear that the bot is still there."""
    waiting = Waiting(bot)
    opened = await open_conversation(client, conversation_id)
    assert opened.ready["put_back"], opened.ready
    assert (opened.ready["resumed"], opened.ready["node"]) == (True, node)
    heard_at = await client.sound(since=opened.asked_at, timeout_secs=30)
    assert waiting.secs(heard_at) < BACK_SECS
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


async def told_of_taking_over(client: Page, *bots: BotProcess, within_secs: float) -> None:
    """Be told by one of the bots that another call holds the conversation, and be hung up on."""
    waiting = Waiting(*bots)
    told = await client.event("conversation-ended", timeout_secs=30)
    assert waiting.secs() < within_secs
    assert (told["reason"], told["status"]) == (EndReason.TAKEN_OVER, "active")
    async with asyncio.timeout(30):
        await client.closed.wait()

"""What the user types: kept and acknowledged when it comes, and answered in one turn."""

import asyncio
import time
from uuid import uuid4

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session


async def in_conversation(client: Page) -> str:
    """Open a conversation and hear the greeting out; gives its id."""
    await client.ready()
    answer = await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
    conversation_id: str = answer["data"]["d"]["conversation_id"]
    await client.event("node-changed", node="conversation", timeout_secs=30)
    await client.silence(0.6)
    return conversation_id


def type_by_action(client: Page, text: str) -> str:
    return client.send(
        "client-message",
        {"t": "action", "d": {"action": "user_text_message", "arguments": {"text": text}}},
    )


async def test_ten_texts_in_one_tick_are_one_turn(bot: BotProcess) -> None:
    texts = [f"Texto {number} sobre mi viaje." for number in range(10)]
    async with page(bot.url) as client:
        conversation_id = await in_conversation(client)
        began, waiting = time.monotonic(), Waiting(bot)
        ids = [type_by_action(client, text) for text in texts]
        for message_id in ids:
            answer = await client.answer_to(message_id)
            assert answer["type"] == "server-response"
        await client.event("message-recorded", seq=11)
        assert waiting.secs() < 2
        await client.sound(since=began)
        await client.silence(1.5)
        answered = len(client.events("turn-latency"))
    transcript = await transcript_of(bot, conversation_id)
    said = [(one.role, one.content) for one in transcript.messages[1:]]
    assert said[:10] == [("user", text) for text in texts]
    assert [role for role, _ in said[10:]] == ["assistant"]
    assert [one.seq for one in transcript.messages] == list(range(1, 13))
    assert answered <= 1


async def test_five_texts_and_a_hang_up_are_kept(bot: BotProcess) -> None:
    texts = [f"Texto {number} antes de colgar." for number in range(5)]
    so_far = len(bot.logged())
    async with page(bot.url) as client:
        conversation_id = await in_conversation(client)
        type_by_action(client, "Cuéntame de Oaxaca.")
        await client.sound(since=client.sounds[-1])
        for text in texts:
            type_by_action(client, text)
        # No answer is waited for.
        await client.delivered()
    async with asyncio.timeout(60):
        while f"{conversation_id} is closed" not in bot.logged():
            await asyncio.sleep(0.2)
    transcript = await transcript_of(bot, conversation_id)
    assert [one.content for one in transcript.messages if one.role == "user"][1:] == texts
    # What would have entered them ends with the call.
    assert "dangling tasks" not in bot.logged()[so_far:]


async def test_a_text_cuts_the_bot_off_and_comes_after_what_was_heard(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_conversation(client)
        so_far = len(client.messages)
        client.type_text("Cuéntame de Oaxaca con todo detalle.")
        await client.told_words(2, after=so_far)
        waiting = Waiting(bot)
        client.type_text("Espera, mejor Puebla.")
        await client.event("message-recorded", seq=4)
        assert waiting.secs() < 1.5
        await client.event("message-recorded", seq=5)
        client.type_text("Y otra cosa.")
        client.type_text("Sin voz, por favor.", audio_response=False)
        await client.event("message-recorded", seq=8, timeout_secs=30)
    transcript = await transcript_of(bot, conversation_id)
    said = [(one.role, one.modality.value, one.interrupted) for one in transcript.messages]
    assert said[1:4] == [
        ("user", "text", False),
        ("assistant", "voice", True),
        ("user", "text", False),
    ]
    assert transcript.messages[3].content == "Espera, mejor Puebla."
    assert [role for role, _, _ in said[5:8]] == ["user", "user", "assistant"]
    assert said[7][1] == "text"

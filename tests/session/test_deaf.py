"""Deepgram is gone, and the user speaks over the bot's answer all the same."""

import asyncio
import time
from pathlib import Path

import pytest

from simulators.clients.speech import speech
from sonora_app.errors import ErrorCode
from tests.session.talking import (
    ES,
    FOOD,
    LONG_ANSWER,
    QUESTION,
    bot_with_keys,
    serving_vendors,
    talking,
)

pytestmark = pytest.mark.session

AGAIN_SECS = 8.5
"""Who speaks so long after they were told that nobody hears them is told again."""


@pytest.mark.parametrize("recogniser", ["nova-3", "flux"])
async def test_the_bot_says_all_it_has_to_say_and_tells_once_that_it_hears_nobody(
    recogniser: str, tmp_path: Path
) -> None:
    async with serving_vendors() as vendors:
        vendors.cartesia.char_secs = 0.03
        with bot_with_keys(tmp_path, vendors, SONORA_STT=recogniser) as bot:
            async with talking(bot, vendors) as talk:
                client = talk.client
                await client.silence(0.6)
                client.type_text(QUESTION)
                await client.sound(since=time.monotonic())
                await vendors.deepgram.go_down()
                client.microphone.say(await speech(FOOD))
                await client.microphone.said()
                await client.event("notice", code=ErrorCode.HEARING_UNAVAILABLE, timeout_secs=10)
                told_at = time.monotonic()
                await client.silence(4.0)
                assert len(client.events("notice")) == 1
                await asyncio.sleep(told_at + AGAIN_SECS - time.monotonic())
                client.microphone.say(await speech(FOOD))
                async with asyncio.timeout(10):
                    while len(client.events("notice")) < 2:
                        await asyncio.sleep(0.1)
            transcript = await talk.transcript()
    words = [message.content for message in transcript.messages]
    assert words[2:4] == [LONG_ANSWER, ES.text("hearing.lost")]
    assert not transcript.messages[2].interrupted

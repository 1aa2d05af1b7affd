"""A page that connects anew while the bot speaks, and a machine whose clock is set meanwhile."""

import asyncio
import re
import signal
import time
from pathlib import Path
from uuid import UUID

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from sonora_app.call.presence.unsent import UNSENT_SECS
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from tests.session.coming_back import in_an_answer
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session

ES = Lines(Language.ES)
BACK_SECS = 2.0
"""How long after the new connection is there the bot may take to be heard."""
GONE = "Nothing has come from the client"
"""What the bot logs once it takes a client for gone."""
LAST_WORD_SECS = 1.5
"""How long the last word takes to be said, at most, and to come."""
WORDS_A_SEC = 4
"""How many words the bot says in a second, at most."""


async def in_mid_sentence(client: Page) -> UUID:
    await client.ready()
    opened = await client.action("set_conversation_id", user_id="ana")
    await client.event("node-changed", node="conversation", timeout_secs=30)
    await in_an_answer(client)
    return UUID(opened["data"]["d"]["conversation_id"])


def spoken(client: Page) -> str:
    """What the page was shown of the bot's words as they were spoken, since it was asked last."""
    words: list[str] = []
    for message in client.messages:
        if message["type"] == "bot-started-speaking":
            words.clear()
        elif message["type"] == "bot-tts-text":
            words.append(message["data"]["text"])
    return " ".join(words)


async def recorded(bot: BotProcess, conversation_id: UUID, count: int) -> None:
    """Wait until so many messages are kept: the page is told nothing any more."""
    async with asyncio.timeout(60):
        while len((await transcript_of(bot, conversation_id)).messages) < count:
            await asyncio.sleep(0.2)


async def test_what_is_said_into_a_dead_network_is_not_kept_and_the_call_goes_on(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_mid_sentence(client)
        # What had no processor about now was said, told or heard of so much later.
        late = Waiting(bot)
        await asyncio.sleep(0.3)
        client.cut_off()
        until_then, so_far = spoken(client), len(bot.logged())
        await asyncio.sleep(1.0)
        late_secs = late.excused_secs
        async with asyncio.timeout(30):
            while GONE not in bot.logged()[so_far:]:
                await asyncio.sleep(0.1)
        client.restore()
        back_at, waiting = time.monotonic(), Waiting(bot)
        assert waiting.secs(await client.sound(since=back_at, timeout_secs=30)) < BACK_SECS
        await client.silence(0.6)
        asked_at = time.monotonic()
        client.type_text("¿Y qué más?")
        await client.sound(since=asked_at)
        await client.silence(0.6)
        assert not client.events("conversation-ended")
    transcript = await transcript_of(bot, conversation_id)
    said = [(m.role, m.interrupted, m.content or "") for m in transcript.messages]
    assert [(role, cut) for role, cut, _ in said[2:5]] == [
        ("assistant", True),
        ("assistant", False),
        ("user", False),
    ]
    words, shown = len(said[2][2].split()), len(until_then.split())
    assert shown - 1 <= words <= shown + 2 + late_secs * WORDS_A_SEC
    assert said[3][2] == ES.text("still_here")


async def test_without_its_channel_a_page_is_talked_to_as_before(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_mid_sentence(client)
        client.close_channel()
        # Longer than Pipecat waits for a message of the page.
        await asyncio.sleep(3.5)
        await recorded(bot, conversation_id, 3)
        await client.silence(1.0)
        client.microphone.say(await speech("Quiero planear un viaje a Oaxaca en abril."))
        await client.microphone.said()
        await client.sound(since=client.microphone.ended_at)
        await recorded(bot, conversation_id, 5)
    transcript = await transcript_of(bot, conversation_id)
    assert [m.role for m in transcript.messages][2:] == ["assistant", "user", "assistant"]
    assert not any(m.interrupted for m in transcript.messages)


async def test_a_page_that_connects_anew_hears_the_bot_and_keeps_only_what_was_heard(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_mid_sentence(client)
        await client.reconnect()
        back_at, waiting = time.monotonic(), Waiting(bot)
        assert waiting.secs(await client.sound(since=back_at, timeout_secs=30)) < BACK_SECS
        await client.silence(0.6)
        again_at = time.monotonic()
        client.type_text("¿Y qué más?")
        await client.sound(since=again_at)
        await client.silence(0.6)
    transcript = await transcript_of(bot, conversation_id)
    said = [(m.role, m.interrupted, m.content or "") for m in transcript.messages]
    assert [role for role, _, _ in said[:5]] == [
        "assistant",
        "user",
        "assistant",
        "assistant",
        "user",
    ]
    whole = ES.text("rehearsal.first", {"echo": "·"})
    _, was_cut, cut = said[2]
    assert was_cut
    assert len(cut) < len(whole)
    assert said[3][2] == ES.text("still_here")
    assert len(transcript.sessions) == 1
    assert "can no longer do its job" not in bot.logged()


async def test_a_clock_that_is_set_stops_no_sound_and_nobody_is_asked_whether_they_are_there(
    tmp_path: Path,
) -> None:
    clock = tmp_path / "clock"
    with running_bot(
        tmp_path,
        program="tests/session/clock_bot.py",
        CLOCK_FILE=str(clock),
        SONORA_IDLE_SECS="7",
    ) as process:
        async with page(process.url) as client:
            conversation_id = await in_mid_sentence(client)
            for secs in (-3600, 3600):
                clock.write_text(str(secs))
                set_at, waiting = time.monotonic(), Waiting(process)
                # What was on its way may still be heard.
                heard_at = await client.sound(since=set_at + 0.2, timeout_secs=30)
                assert waiting.secs(heard_at) < BACK_SECS
            await client.silence(0.6)
            asked_at = time.monotonic()
            client.type_text("¿Y qué más?")
            await client.sound(since=asked_at)
            await client.silence(0.6)
            client.cut_off()
            # Longer than the silence after which somebody who is there is asked.
            await asyncio.sleep(8)
            client.restore()
            await client.sound(since=time.monotonic())
            await client.silence(0.6)
        transcript = await transcript_of(process, conversation_id)
    said = [(m.role, m.interrupted) for m in transcript.messages]
    assert said == [
        ("assistant", False),
        ("user", False),
        ("assistant", False),
        ("user", False),
        ("assistant", False),
        ("assistant", False),
    ]
    assert transcript.messages[-1].content == ES.text("still_here")


async def test_a_process_that_was_held_up_drops_what_is_too_old_and_says_so(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        await client.ready()
        await client.action("set_conversation_id", user_id="ana")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        await client.silence(0.6)
        so_far = len(client.messages)
        bot.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        bot.process.send_signal(signal.SIGCONT)
        told = await client.event("notice", code="speech_dropped", after=so_far)
        assert "Si dijiste algo, repítelo" in told["message"]
        assert re.search(r"\d\.\d s of the user's sound were dropped", bot.logged())
        # It hears what is said now.
        client.microphone.say(await speech("Quiero planear un viaje a Oaxaca en abril."))
        await client.event("message-recorded", role="user", after=so_far, timeout_secs=20)
        assert not client.events("conversation-ended")


async def test_a_process_that_was_held_up_while_the_bot_spoke_says_the_rest(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        conversation_id = await in_mid_sentence(client)
        bot.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(UNSENT_SECS + 0.5)
        bot.process.send_signal(signal.SIGCONT)
        late = Waiting(bot)
        # What was on its way may still be heard.
        await client.sound(since=time.monotonic() + 0.2)
        await client.event("message-recorded", seq=3)
        await client.silence(1.0)
        # Words count as heard once they were played, however late that was.
        words = [each for each in client.messages if each["type"] == "bot-tts-text"]
        last_word_secs = LAST_WORD_SECS + late.excused_secs
        assert words[-1]["received_at"] > client.sounds[-1] - last_word_secs
        assert not client.events("conversation-ended")
    whole = (await transcript_of(bot, conversation_id)).messages[2]
    assert not whole.interrupted
    rest = ES.text("rehearsal.first", {"echo": "·"}).rpartition("·")[2]
    assert (whole.content or "").endswith(rest)

"""Whole calls by voice with the vendors' real protocols: when they work, and when they fail.

The bot runs Pipecat's own service classes; Deepgram, OpenAI and Cartesia are servers of this
test's, on loopback.
"""

import asyncio
from collections.abc import AsyncGenerator
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
import pytest_asyncio

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.clients.trace_collector import Collector, trace_collector
from simulators.clients.webrtc import page
from simulators.vendors.cartesia import Breakage, Fault
from simulators.vendors.openai import Reply
from sonora_app.errors import ErrorCode
from sonora_app.storage.records import EndReason, JsonObject
from sonora_app.storage.store import Transcript
from tests.session.talking import (
    ANSWER,
    DONE,
    ES,
    FOOD,
    FOOD_ANSWER,
    LONG_ANSWER,
    NO,
    QUESTION,
    REQUEST,
    SUMMARY,
    SUMMED_UP,
    WRAP_UP,
    Conversation,
    Vendors,
    bot_with_keys,
    guide,
    said,
    serving_vendors,
    settled,
    talking,
)

pytestmark = [
    pytest.mark.session,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncGenerator[Vendors]:
    """The three vendors, serving."""
    async with serving_vendors() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed_bot(
    vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[BotProcess]:
    """A bot with all its keys."""
    with bot_with_keys(tmp_path_factory.mktemp("keyed"), vendors) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def talk(keyed_bot: BotProcess, vendors: Vendors) -> AsyncGenerator[Conversation]:
    """A call whose greeting has been heard; in the end nothing of it may be in the log."""
    async with talking(keyed_bot, vendors) as opened:
        yield opened


async def test_a_conversation_by_voice_is_kept_word_for_word(talk: Conversation) -> None:
    openai = talk.vendors.openai
    before = len(openai.log.of("answered"))
    await talk.say(REQUEST)
    await talk.is_recorded()
    await talk.say(DONE)
    await talk.is_recorded()
    await talk.say(NO)
    ended = await talk.client.event("conversation-ended", timeout_secs=30)
    # What is asked after the call, to look back on it, is not the call's.
    told = openai.log.of("answered")[before:]
    await asyncio.wait_for(talk.client.closed.wait(), 30)

    transcript = await talk.transcript()
    looked_back = openai.log.of("answered")[before + len(told) :]
    assert said(transcript) == [
        ("assistant", ES.text("greeting.new")),
        ("user", REQUEST),
        ("assistant", ANSWER),
        ("user", DONE),
        ("assistant", SUMMED_UP),
        ("user", NO),
        ("assistant", ES.text("farewell.goodbye")),
    ]
    assert not any(message.interrupted for message in transcript.messages)
    assert {message.modality.value for message in transcript.messages} == {"voice"}
    assert [t.trigger for t in transcript.transitions] == [
        "set_conversation_id",
        "greeting_finished",
        "wrap_up",
        "say_goodbye",
    ]
    assert {t.arguments["cause"] for t in transcript.transitions[2:]} == {"model"}

    conversation = transcript.conversation
    assert (conversation.title, conversation.summary) == (WRAP_UP["title"], WRAP_UP["summary"])
    assert (conversation.status, ended["reason"]) == ("completed", EndReason.GOODBYE)
    assert conversation.metadata["topics"] == WRAP_UP["topics"]
    kept: list[JsonObject] = [conversation.metadata]
    kept += [message.metadata for message in transcript.messages]
    assert not [metadata for metadata in kept if "stand_ins" in metadata]

    (session,) = transcript.sessions
    assert session.end_reason == EndReason.GOODBYE
    for name in ("prompt_tokens", "completion_tokens"):
        assert session.metrics[name] == sum(entry[name] for entry in told) > 0
        assert session.metrics[f"summary_{name}"] == sum(entry[name] for entry in looked_back) > 0
    spoken = sum(len(text or "") for role, text in said(transcript) if role == "assistant")
    assert session.metrics["characters_spoken"] == pytest.approx(spoken, abs=10)
    assert session.metrics["turns_answered"] == 3
    used = {each["part"]: each for each in session.metrics["usage"]}
    assert used["stt"]["audio_secs"] > 1
    # Each answer that was asked for was told of, since none was cut off.
    assert (used["llm"]["answers"], used["llm"]["uncounted"]) == (len(told), 0)
    assert used["tts"]["characters"] == session.metrics["characters_spoken"]
    for name in ("prompt_tokens", "completion_tokens"):
        assert used["llm"][name] == session.metrics[name] + session.metrics[f"summary_{name}"]
    # What stands in for the vendors here is no vendor, and has no price.
    assert session.metrics["cost"]["total"] is None
    assert {each["part"] for each in session.metrics["cost"]["not_known"]} == {*used}
    assert session.metrics["failures"] == {}
    assert session.metrics["latency_ms"]["median"] > 0
    waits = [m.metrics for m in transcript.messages if m.role == "assistant"]
    assert waits[0] == {}
    told_page = [event["total_ms"] for event in talk.client.events("turn-latency")]
    assert [wait["latency"]["total_ms"] for wait in waits[1:]] == told_page


async def test_the_answer_to_a_word_too_short_for_silero_is_waited_for_too(
    talk: Conversation,
) -> None:
    await talk.say("Sí.")
    await talk.is_recorded()
    await talk.client.hang_up()
    transcript = await talk.transcript()
    assert said(transcript)[1:] == [("user", "Sí."), ("assistant", ANSWER)]
    (session,) = transcript.sessions
    (wait_ms,) = session.metrics["waits_ms"]
    latency = transcript.messages[2].metrics["latency"]
    assert round(latency["total_ms"]) == wait_ms
    assert sum(latency["parts_ms"].values()) == pytest.approx(wait_ms, abs=1)


async def goes_on_after(call: Conversation, sound: np.ndarray) -> float:
    """Make a sound into what the bot says; returns how long it is silent for it, in seconds."""
    client = call.client
    client.microphone.say(sound)
    await client.microphone.said()
    await client.sound(since=client.microphone.ended_at + 0.3)
    sounds = [moment for moment in client.sounds if moment > client.microphone.began_at]
    return max(later - earlier for earlier, later in pairwise(sounds))


async def test_the_bot_goes_on_after_a_cough_and_after_an_acknowledgement(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, vendors = talk.client, talk.vendors
    # Slowly, so that a busy machine makes both sounds while the bot still speaks.
    monkeypatch.setattr(vendors.cartesia, "char_secs", 0.09)
    await client.silence(0.6)
    vendors.deepgram.hears.append(QUESTION)
    client.microphone.say(await speech(QUESTION))
    await client.microphone.said()
    await client.sound(since=client.microphone.ended_at)
    await asyncio.sleep(0.5)
    # A voice in which nothing is recognised.
    assert await goes_on_after(talk, await speech("ejem")) > 0.15
    await asyncio.sleep(0.5)
    vendors.deepgram.hears.append("Ajá.")
    await goes_on_after(talk, await speech("ajá"))
    told = await client.wait_for(
        lambda message: (
            message["type"] == "user-input" and message["data"]["input_type"] == "backchannel"
        )
    )
    assert told["data"]["text"] == "Ajá."
    await talk.is_recorded()
    await talk.is_recorded()
    monkeypatch.undo()
    requests = len(vendors.openai.bodies)
    await talk.say(FOOD)
    await talk.is_recorded()
    assert len(vendors.openai.bodies) == requests + 1
    assert "Ajá" not in str(vendors.told())
    await client.hang_up()
    transcript = await talk.transcript()
    assert said(transcript)[1:] == [
        ("user", QUESTION),
        ("assistant", LONG_ANSWER),
        ("user", FOOD),
        ("assistant", FOOD_ANSWER),
    ]
    assert not any(message.interrupted for message in transcript.messages)
    over = [each["text"] for each in transcript.messages[2].metadata["backchannels"]]
    assert over == ["Ajá."]


async def test_of_a_greeting_made_ahead_what_was_heard_is_kept(
    keyed_bot: BotProcess, vendors: Vendors
) -> None:
    vendors.openai.model = guide
    vendors.deepgram.hears.clear()
    vendors.deepgram.hears.append(REQUEST)
    request = await speech(REQUEST)
    async with page(keyed_bot.url) as client:
        await client.ready()
        answer = await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
        await client.wait_for(lambda message: message["type"] == "bot-started-speaking")
        client.microphone.say(request)
        await client.event("message-recorded", seq=3, timeout_secs=30)
        await client.hang_up()
        transcript = await settled(keyed_bot, answer["data"]["d"]["conversation_id"])
    kinds = [message["type"] for message in client.messages]
    shown = client.messages[: kinds.index("bot-interrupted")]
    heard = [m["data"]["text"] for m in shown if m["type"] == "bot-tts-text"]
    greeting = ES.text("greeting.new")
    assert 0 < len(heard) < len(greeting.split())
    assert said(transcript) == [
        ("assistant", " ".join(heard)),
        ("user", REQUEST),
        ("assistant", ANSWER),
    ]
    assert transcript.messages[0].interrupted
    assert greeting.startswith(" ".join(heard))


async def test_flux_hears_when_the_turn_ends(vendors: Vendors, tmp_path: Path) -> None:
    async with trace_collector() as collector:
        watched = {
            "SONORA_TRACES_URL": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "SONORA_METRICS": "True",
        }
        with bot_with_keys(tmp_path, vendors, SONORA_STT="flux", **watched) as bot:
            async with talking(bot, vendors) as talk:
                await talk.say(REQUEST)
                await talk.is_recorded()
                await talk.say(DONE)
                await talk.is_recorded()
            transcript = await talk.transcript()
            await _is_traced(collector, transcript)
            await _is_counted(bot, transcript)
    assert {entry["path"] for entry in vendors.deepgram.log.of("connect")} >= {"/v2/listen"}
    assert said(transcript)[1:] == [
        ("user", REQUEST),
        ("assistant", ANSWER),
        ("user", DONE),
        ("assistant", SUMMED_UP),
    ]


async def _is_traced(collector: Collector, transcript: Transcript) -> None:
    """The collector has the spans of the call, with its ids and none of its words."""
    names = {"conversation", "turn", "llm", "stt", "tts"}
    spans = await collector.until(names, timeout_secs=20)
    (session,) = transcript.sessions
    assert len({span.trace_id for span in spans}) == 1, "one call, one trace"
    for span in spans:
        assert span.attributes["sonora.session_id"] == str(session.id), span
        assert span.attributes["sonora.conversation_id"] == str(transcript.conversation.id), span
    (whole,) = [span for span in spans if span.name == "conversation"]
    turns = {span.span_id for span in spans if span.name == "turn"}
    assert {span.parent_id for span in spans if span.name == "turn"} == {whole.span_id}
    assert {span.parent_id for span in spans if span.name == "llm"} <= turns | {whole.span_id}
    read = [span.attributes.get("gen_ai.usage.input_tokens", 0) for span in spans]
    assert sum(read) == session.metrics["prompt_tokens"]
    for words in (REQUEST, ANSWER, DONE, "Oaxaca", "Eres Sonora"):
        assert words.encode() not in collector.raw


async def _is_counted(bot: BotProcess, transcript: Transcript) -> None:
    """Prometheus would read what is kept of the call, from this machine alone."""
    async with httpx.AsyncClient() as client:
        figures = (await client.get(f"{bot.url}/metrics")).text
        stranger = await client.get(
            f"{bot.url}/metrics", headers={"Origin": "https://evil.example"}
        )
    (session,) = transcript.sessions
    told = dict(line.rsplit(" ", 1) for line in figures.splitlines() if line[0] != "#")
    assert told['sonora_calls_total{end_reason="client_left"}'] == "1.0"
    assert told["sonora_calls_in_progress"] == "0.0"
    waits = session.metrics["waits_ms"]
    assert float(told["sonora_answer_wait_seconds_count"]) == len(waits) == 2
    assert float(told["sonora_answer_wait_seconds_sum"]) == pytest.approx(sum(waits) / 1000)
    assert stranger.status_code == 403


async def test_the_model_fails_and_recovers(talk: Conversation) -> None:
    talk.vendors.openai.model = lambda _: Reply(status=500)
    await talk.say(REQUEST)
    await talk.is_recorded()
    talk.vendors.openai.model = guide
    await talk.say(REQUEST)
    await talk.is_recorded()
    await talk.client.hang_up()
    transcript = await talk.transcript()
    apology = ES.text("apology.answer")
    assert said(transcript)[1:] == [
        ("user", REQUEST),
        ("assistant", apology),
        ("user", REQUEST),
        ("assistant", ANSWER),
    ]
    assert apology in " ".join(talk.vendors.cartesia.texts)
    assert transcript.sessions[0].end_reason == EndReason.CLIENT_LEFT
    assert transcript.conversation.summary == SUMMARY["summary"]
    # The model knows what it said for want of an answer.
    assert ("assistant", apology) in talk.vendors.told()


async def test_an_answer_with_nothing_in_it_is_apologised_for(talk: Conversation) -> None:
    talk.vendors.openai.model = lambda _: Reply("")
    await talk.say(REQUEST)
    await talk.is_recorded()
    await talk.client.hang_up()
    transcript = await talk.transcript()
    assert said(transcript)[1:] == [("user", REQUEST), ("assistant", ES.text("apology.answer"))]


async def test_the_voice_breaks_off_in_mid_sentence(talk: Conversation) -> None:
    cartesia = talk.vendors.cartesia
    broken_before = len(cartesia.log.of("broken"))
    talk.vendors.openai.model = lambda _: Reply(LONG_ANSWER)
    cartesia.fault = Fault(Breakage.DROP, after_secs=1.5)
    await talk.say(REQUEST)
    await talk.is_recorded()
    # What is left of the answer is apologised for, by a voice that is back.
    await talk.is_recorded()
    talk.vendors.openai.model = guide
    await talk.say(REQUEST)
    await talk.is_recorded()
    await talk.client.hang_up()
    transcript = await talk.transcript()
    (broken,) = cartesia.log.of("broken")[broken_before:]
    heard = " ".join(broken["words"])
    assert LONG_ANSWER.startswith(heard)
    assert said(transcript)[1:] == [
        ("user", REQUEST),
        ("assistant", heard),
        ("assistant", ES.text("apology.voice")),
        ("user", REQUEST),
        ("assistant", ANSWER),
    ]
    # And the model knows what was heard of its answer.
    told = talk.vendors.told()
    assert ("assistant", heard) in told
    assert ("assistant", LONG_ANSWER) not in told


async def test_whoever_comes_back_is_told_that_there_is_no_voice_any_more(
    keyed_bot: BotProcess, vendors: Vendors
) -> None:
    user_id = f"user-{uuid4()}"
    async with talking(keyed_bot, vendors, user_id=user_id) as talk:
        vendors.cartesia.refuse_with = HTTPStatus.UNAUTHORIZED
        try:
            async with page(keyed_bot.url) as client:
                await client.ready()
                answer = await client.action(
                    "set_conversation_id", user_id=user_id, conversation_id=talk.id
                )
                assert answer["data"]["d"]["put_back"]
                await client.event("notice", code=ErrorCode.VOICE_UNAVAILABLE)
                await client.event("conversation-ended", reason=EndReason.ERROR)
        finally:
            vendors.cartesia.refuse_with = None


async def test_whoever_comes_back_to_a_farewell_is_told_that_nobody_can_be_heard(
    keyed_bot: BotProcess, vendors: Vendors
) -> None:
    user_id = f"user-{uuid4()}"
    async with talking(keyed_bot, vendors, user_id=user_id) as talk:
        await talk.client.action("end_conversation")
        await talk.is_recorded()
        vendors.deepgram.refuse_with = HTTPStatus.UNAUTHORIZED
        try:
            async with page(keyed_bot.url) as client:
                await client.ready()
                answer = await client.action(
                    "set_conversation_id", user_id=user_id, conversation_id=talk.id
                )
                assert answer["data"]["d"]["node"] == "wrap_up"
                await client.event("notice", code=ErrorCode.HEARING_UNAVAILABLE)
        finally:
            vendors.deepgram.refuse_with = None

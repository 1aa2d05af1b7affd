"""Whole calls by voice with the vendors' real protocols: when they work, and when they fail.

The bot runs Pipecat's own service classes; Deepgram, OpenAI and Cartesia are servers of this
test's, on loopback.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from sonora_app.conversation.records import EndReason, JsonObject
from sonora_app.conversation.store import Transcript
from sonora_app.lines import Lines
from sonora_app.settings import Language
from tests.clients.bot_process import BotProcess, running_bot
from tests.clients.speech import speech
from tests.clients.webrtc import Page, page
from tests.session.conftest import transcript_of
from tests.vendors.cartesia import Breakage, CartesiaVendor, Fault
from tests.vendors.deepgram import DeepgramVendor
from tests.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from tests.vendors.settings import vendor_settings

pytestmark = [
    pytest.mark.session,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

ES = Lines(Language.ES)
# Without a comma: synthetic speech pauses there long enough to end a turn.
REQUEST = "Quiero planear un viaje a Oaxaca en abril."
ANSWER = "¡Qué buena idea! Abril es cálido y seco; ¿cuántos días tienes?"
DONE = "Eso es todo por hoy."
SUMMED_UP = "Hablamos de tu viaje a Oaxaca. ¿Algo más?"
NO = "No muchas gracias."
WRAP_UP = {
    "title": "Viaje a Oaxaca",
    "summary": "Quiere ir a Oaxaca en abril.",
    "topics": ["Oaxaca", "viajes"],
    "outcome": "resolved",
}
SUMMARY = {**WRAP_UP, "summary": "Se cortó antes de acabar.", "outcome": "interrupted"}
LONG_ANSWER = (
    "Oaxaca tiene montañas, playas, mercados llenos de colores, una cocina famosa en todo el "
    "mundo y muchas fiestas que duran varios días seguidos."
)


@dataclass
class Vendors:
    deepgram: DeepgramVendor
    openai: OpenAIVendor
    cartesia: CartesiaVendor

    @property
    def keys(self) -> list[str]:
        return [vendor.key for vendor in (self.deepgram, self.openai, self.cartesia)]


@dataclass
class Conversation:
    """One call to a bot whose vendors are here."""

    bot: BotProcess
    vendors: Vendors
    client: Page
    id: str
    recorded: int = 1

    async def say(self, text: str) -> None:
        """Say `text` aloud; it is recognised as what it is."""
        await self.client.silence(0.6)
        self.vendors.deepgram.hears.append(text)
        self.client.microphone.say(await speech(text))
        await self.client.microphone.said()
        await self.is_recorded()

    async def is_recorded(self) -> None:
        """Wait for one more message to be recorded."""
        self.recorded += 1
        await self.client.event("message-recorded", seq=self.recorded, timeout_secs=30)

    async def transcript(self) -> Transcript:
        """What is kept of it."""
        return await settled(self.bot, self.id)


async def settled(bot: BotProcess, conversation_id: str) -> Transcript:
    """What is kept of a conversation, once its last call has ended and been summed up."""
    async with asyncio.timeout(30):
        while f"conversation {conversation_id} is closed" not in bot.logged():
            await asyncio.sleep(0.1)
    return await transcript_of(bot, conversation_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncGenerator[Vendors]:
    """The three vendors, serving."""
    made = Vendors(
        DeepgramVendor(f"deepgram-{uuid4()}"),
        OpenAIVendor(f"sk-{uuid4()}"),
        CartesiaVendor(f"cartesia-{uuid4()}"),
    )
    async with made.deepgram.serving(), made.openai.serving(), made.cartesia.serving():
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed_bot(
    vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[BotProcess]:
    """A bot with all its keys."""
    with bot_with_keys(tmp_path_factory.mktemp("keyed"), vendors) as process:
        yield process


def bot_with_keys(
    data_dir: Path, vendors: Vendors, **environment: str
) -> AbstractContextManager[BotProcess]:
    """A bot whose vendors are these."""
    settings = dict(
        **vendor_settings(vendors.deepgram, vendors.openai, vendors.cartesia),
        SONORA_LOG_LEVEL="INFO",
        SONORA_STT="nova-3",
        SONORA_WAITING_SECS="60",
        SONORA_IDLE_SECS="60",
        SONORA_CLOSING_SECS="20",
    )
    return running_bot(data_dir, **{**settings, **environment})


@pytest_asyncio.fixture(loop_scope="module")
async def talk(keyed_bot: BotProcess, vendors: Vendors) -> AsyncGenerator[Conversation]:
    """A call whose greeting has been heard; in the end nothing of it may be in the log."""
    async with talking(keyed_bot, vendors) as opened:
        yield opened


@asynccontextmanager
async def talking(bot: BotProcess, vendors: Vendors) -> AsyncGenerator[Conversation]:
    """See `talk`."""
    vendors.openai.model = guide
    vendors.deepgram.hears.clear()
    async with page(bot.url) as client:
        await client.ready()
        answer = await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
        opened = Conversation(bot, vendors, client, answer["data"]["d"]["conversation_id"])
        await client.event("node-changed", node="conversation", timeout_secs=30)
        yield opened
    transcript = await opened.transcript()
    logged = bot.logged()
    for secret in (*vendors.keys, *(m.content for m in transcript.messages)):
        assert secret
        assert secret not in logged


def guide(request: ChatRequest) -> Reply:
    """A model that talks about Oaxaca, and follows the flow."""
    if not request.body["stream"]:
        return Reply(json.dumps(SUMMARY))
    if "wrap_up" in request.tools:
        if request.last_said == DONE:
            return Reply(calls=(ToolCall("wrap_up", WRAP_UP),))
        return Reply(ANSWER, token_secs=0.02)
    if request.messages[-1]["role"] == "user":
        return Reply(calls=(ToolCall("say_goodbye"),))
    return Reply(SUMMED_UP, token_secs=0.02)


def said(transcript: Transcript) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in transcript.messages]


async def test_a_conversation_by_voice_is_kept_word_for_word(talk: Conversation) -> None:
    openai = talk.vendors.openai
    before = len(openai.log.of("answered"))
    await talk.say(REQUEST)
    await talk.is_recorded()
    await talk.say(DONE)
    await talk.is_recorded()
    await talk.say(NO)
    ended = await talk.client.event("conversation-ended", timeout_secs=30)
    await asyncio.wait_for(talk.client.closed.wait(), 20)

    transcript = await talk.transcript()
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
    told = openai.log.of("answered")[before:]
    for name in ("prompt_tokens", "completion_tokens"):
        assert session.metrics[name] == sum(entry[name] for entry in told) > 0
    spoken = sum(len(text or "") for role, text in said(transcript) if role == "assistant")
    assert session.metrics["characters_spoken"] == pytest.approx(spoken, abs=10)
    assert session.metrics["turns_answered"] == 3
    assert session.metrics["latency_ms"]["median"] > 0
    waits = [m.metrics for m in transcript.messages if m.role == "assistant"]
    assert waits[0] == {}
    told_page = [event["total_ms"] for event in talk.client.events("turn-latency")]
    assert [wait["latency"]["total_ms"] for wait in waits[1:]] == told_page


async def test_flux_hears_when_the_turn_ends(vendors: Vendors, tmp_path: Path) -> None:
    with bot_with_keys(tmp_path, vendors, SONORA_STT="flux") as bot:
        async with talking(bot, vendors) as talk:
            await talk.say(REQUEST)
            await talk.is_recorded()
            await talk.say(DONE)
            await talk.is_recorded()
        transcript = await talk.transcript()
    assert {entry["path"] for entry in vendors.deepgram.log.of("connect")} >= {"/v2/listen"}
    assert said(transcript)[1:] == [
        ("user", REQUEST),
        ("assistant", ANSWER),
        ("user", DONE),
        ("assistant", SUMMED_UP),
    ]


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
    asked = [body for body in talk.vendors.openai.bodies if body["stream"]][-1]["messages"]
    assert apology in [message.get("content") for message in asked]


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
    bodies = [body for body in talk.vendors.openai.bodies if body["stream"]]
    asked = [message.get("content") for message in bodies[-1]["messages"]]
    assert heard in asked
    assert LONG_ANSWER not in asked

"""Calls by voice to a bot whose vendors are servers of the test's, on loopback: what both say."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.speech import speech
from simulators.clients.webrtc import Page, page
from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.deepgram import DeepgramVendor
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.settings import vendor_settings
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.store import Transcript
from tests.session.conftest import transcript_of

ES = Lines(Language.ES)
# Without a comma: synthetic speech pauses there long enough to end a turn.
REQUEST = "Quiero planear un viaje a Oaxaca en abril."
ANSWER = "¡Qué buena idea! Abril es cálido y seco; ¿cuántos días tienes?"
QUESTION = "Cuéntame qué hay en Oaxaca."
LONG_ANSWER = (
    "Oaxaca tiene montañas, playas, mercados llenos de colores, una cocina famosa en todo el "
    "mundo y muchas fiestas que duran varios días seguidos."
)
FOOD = "Espera mejor háblame de la comida."
FOOD_ANSWER = (
    "Prueba el mole negro, las tlayudas con tasajo, los chapulines tostados con limón y el "
    "chocolate con agua que sirven en los puestos del mercado."
)
ALLERGY = "Ojo: soy alérgica al cacahuate, ¿eh?"
WARNED = "Entonces pregunta siempre por el mole."
MORE = "También quiero ver Monte Albán."
SEEN = "Ve temprano; a mediodía quema el sol."
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
ANSWERS = {
    QUESTION: LONG_ANSWER,
    FOOD: FOOD_ANSWER,
    ALLERGY: WARNED,
    MORE: SEEN,
}

Said = list[tuple[str, str | None]]
"""Who said what, in order: roles, and words."""


@dataclass
class Vendors:
    """The three vendors. Each has a key of its own."""

    deepgram: DeepgramVendor = field(default_factory=lambda: DeepgramVendor(f"dg-{uuid4()}"))
    openai: OpenAIVendor = field(default_factory=lambda: OpenAIVendor(f"sk-{uuid4()}"))
    cartesia: CartesiaVendor = field(default_factory=lambda: CartesiaVendor(f"ct-{uuid4()}"))

    @property
    def keys(self) -> list[str]:
        return [vendor.key for vendor in (self.deepgram, self.openai, self.cartesia)]

    def told(self) -> Said:
        """What the model was told last of what was said: who said what, oldest first."""
        request = ChatRequest([body for body in self.openai.bodies if body["stream"]][-1])
        return [
            (message["role"], message["content"])
            for message in request.messages
            if message["role"] in ("user", "assistant") and message.get("content")
        ]


@asynccontextmanager
async def serving_vendors() -> AsyncGenerator[Vendors]:
    """The three vendors, serving until the block ends."""
    made = Vendors()
    async with made.deepgram.serving(), made.openai.serving(), made.cartesia.serving():
        yield made


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
        # It is stopped on the loop of the vendors, who cannot answer it meanwhile.
        SONORA_DRAIN_SECS="1",
    )
    return running_bot(data_dir, **{**settings, **environment})


def guide(request: ChatRequest) -> Reply:
    """A model that talks about Oaxaca, and follows the flow."""
    if not request.body["stream"]:
        return Reply(json.dumps(SUMMARY))
    if "wrap_up" in request.tools:
        if request.last_said == DONE:
            return Reply(calls=(ToolCall("wrap_up", WRAP_UP),))
        return Reply(ANSWERS.get(request.last_said, ANSWER), token_secs=0.02)
    if request.messages[-1]["role"] != "user":
        return Reply(SUMMED_UP, token_secs=0.02)
    more = request.last_said in ANSWERS
    return Reply(calls=(ToolCall("resume_conversation" if more else "say_goodbye"),))


@dataclass
class Conversation:
    """One call to a bot whose vendors are here."""

    bot: BotProcess
    vendors: Vendors
    client: Page
    id: str
    recorded: int

    async def say(self, text: str) -> None:
        """Say `text` aloud once the bot is silent; it is recognised as what it is."""
        await self.client.silence(0.6)
        await self._speak(text)
        await self.is_recorded()

    async def cut_in(self, text: str) -> None:
        """Say `text` into what the bot says, of which what was heard is recorded first."""
        await self._speak(text)
        await self.is_recorded()
        await self.is_recorded()

    async def is_recorded(self) -> None:
        """Wait for one more message to be recorded."""
        self.recorded += 1
        await self.client.event("message-recorded", seq=self.recorded, timeout_secs=30)

    async def transcript(self) -> Transcript:
        """What is kept of it."""
        return await settled(self.bot, self.id)

    async def _speak(self, text: str) -> None:
        self.vendors.deepgram.hears.append(text)
        self.client.microphone.say(await speech(text))
        await self.client.microphone.said()


async def settled(bot: BotProcess, conversation_id: str) -> Transcript:
    """What is kept of a conversation, once its last call has ended and been summed up."""
    async with asyncio.timeout(30):
        while f"conversation {conversation_id} is closed" not in bot.logged():
            await asyncio.sleep(0.1)
    return await transcript_of(bot, conversation_id)


@asynccontextmanager
async def talking(
    bot: BotProcess, vendors: Vendors, **arguments: str
) -> AsyncGenerator[Conversation]:
    """A call whose greeting has been heard; in the end nothing of it may be in the log.

    Args:
        bot: Whom to call.
        vendors: Its vendors.
        **arguments: Whose conversation it is, and which; by default a new user's.
    """
    vendors.openai.model = guide
    vendors.deepgram.hears.clear()
    async with page(bot.url) as client:
        await client.ready()
        whose = {"user_id": f"user-{uuid4()}", **arguments}
        answer = await client.action("set_conversation_id", **whose)
        greeting = await client.event("message-recorded", timeout_secs=30)
        await client.event("node-changed", node="conversation", timeout_secs=30)
        conversation_id = answer["data"]["d"]["conversation_id"]
        opened = Conversation(bot, vendors, client, conversation_id, greeting["seq"])
        yield opened
    transcript = await opened.transcript()
    logged = bot.logged()
    for secret in (*vendors.keys, *(m.content for m in transcript.messages)):
        assert secret
        assert secret not in logged


def said(transcript: Transcript) -> Said:
    """Who said what, in order."""
    return [(message.role, message.content) for message in transcript.messages]

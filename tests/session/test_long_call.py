"""A long call, whose prompt stays short and loses nothing that the person said of themselves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from simulators.vendors.settings import vendor_settings
from sonora_app.flow.driver import load_flow_config
from tests.session.failure_calls import failing_bot
from tests.session.talking import SUMMARY, WRAP_UP, Vendors, serving_vendors, settled

pytestmark = [pytest.mark.session, pytest.mark.slow]

LIMIT = 2_000
TURNS = 40
DROPPED = "speech_dropped"
"""What the page is told of a microphone that the bot had no processor to listen to."""
ALLERGY = "Soy alérgica al cacahuate."
NODE = (load_flow_config().nodes["conversation"].task_messages or [])[0].content.strip()


@dataclass
class Model:
    """A model that remembers, when it sums up, what a person says that they are.

    Parameters:
        sums_up: It sums up once this is set; None: at once.
        refuses: Whether it will not sum up.
    """

    sums_up: asyncio.Event | None = None
    refuses: bool = False
    summed_up: list[str] = field(default_factory=list[str])

    def __call__(self, request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return self._sum_up(request)
        if request.last_said == "Eso es todo.":
            if "wrap_up" in request.tools and request.messages[-1]["role"] == "user":
                return Reply(calls=(ToolCall("wrap_up", WRAP_UP),))
            return Reply("¿Algo más?")
        if request.last_said == "Sigamos." and "resume_conversation" in request.tools:
            return Reply(calls=(ToolCall("resume_conversation"),))
        return Reply("Muy bien, cuéntame un poco más de eso, que me interesa.")

    def _sum_up(self, request: ChatRequest) -> Reply:
        told = "\n".join(str(message["content"]) for message in request.messages)
        if "about_the_person" not in str(request.body.get("response_format")):
            self.summed_up.append(told)
            return Reply(json.dumps(SUMMARY))
        self.summed_up.append(told)
        if self.refuses:
            return Reply(status=500)
        known = [ALLERGY] if ALLERGY.rstrip(".") in told else []
        answer = {"about_the_person": known, "summary": "Habló de su viaje."}
        return Reply(json.dumps(answer), held=self.sums_up)


@dataclass
class Talk:
    """A call in writing, answered in writing."""

    bot: BotProcess
    client: Page
    vendors: Vendors
    id: str
    recorded: int = 1

    async def types(self, text: str) -> float:
        """Type, wait for the answer, and tell how long that took, in seconds."""
        waiting = Waiting(self.bot)
        self.client.type_text(text, audio_response=False)
        self.recorded += 2
        await self.client.event("message-recorded", seq=self.recorded, timeout_secs=30)
        return waiting.secs()

    @property
    def prompts(self) -> list[list[dict[str, Any]]]:
        """What the model was asked in the call so far."""
        return [body["messages"] for body in self.vendors.openai.bodies if body["stream"]]


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot whose vendors and settings are those of each call."""
    with failing_bot(tmp_path_factory.mktemp("long")) as process:
        yield process


@asynccontextmanager
async def a_call(bot: BotProcess, model: Model, **settings: str) -> AsyncGenerator[Talk]:
    async with serving_vendors() as vendors:
        vendors.openai.model = model
        own = {
            **vendor_settings(vendors.deepgram, vendors.openai, vendors.cartesia),
            "SONORA_STT": "nova-3",
            "SONORA_IDLE_SECS": "60",
            "SONORA_PROMPT_CHARS": str(LIMIT),
            **settings,
        }
        async with page(bot.url, body={"settings": own}) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id=f"ana-{uuid4()}")
            await client.event("node-changed", node="conversation", timeout_secs=30)
            await client.event("message-recorded", seq=1, timeout_secs=30)
            talk = Talk(bot, client, vendors, opened["data"]["d"]["conversation_id"])
            yield talk
        await settled(bot, talk.id)
        assert "Traceback" not in bot.logged()


def size(messages: list[dict[str, Any]]) -> int:
    return sum(len(str(message.get("content"))) for message in messages[1:])


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [str(message.get("content")).strip() for message in messages]


def broken_calls(messages: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Calls without a result, and results without a call, but for the last message's."""
    called: list[str] = []
    answered: list[str] = []
    for message in messages:
        called += [call["id"] for call in message.get("tool_calls") or ()]
        if message["role"] == "tool":
            answered.append(message["tool_call_id"])
    return [message for message in messages if sorted(called) != sorted(answered)]


async def test_a_long_call_is_summed_up_and_goes_on(bot: BotProcess) -> None:
    model = Model()
    async with a_call(bot, model) as talk:
        await talk.types(ALLERGY)
        for number in range(TURNS):
            await talk.types(f"Te cuento la parte {number} de mi viaje a Oaxaca.")
        prompts = [*talk.prompts]
        times = len(model.summed_up)
    described = model.summed_up[times:]

    sizes = [size(messages) for messages in prompts]
    # Bounded, and by far below what was said.
    assert max(sizes) < 2 * LIMIT
    assert 2 * max(sizes) < TURNS * 100
    # Not at every turn: each time it has grown by hundreds of characters.
    assert 2 <= times <= TURNS // 5
    last = texts(prompts[-1])
    assert sum(ALLERGY in text for text in last) == 1
    assert last.count(NODE) == 1
    assert all(texts(messages).count(NODE) == 1 for messages in prompts)
    assert f"Te cuento la parte {TURNS - 1} de mi viaje a Oaxaca." in last
    assert f"Te cuento la parte {TURNS - 2} de mi viaje a Oaxaca." in last
    # What is kept of the whole call knows it, too.
    assert len(described) == 1
    assert ALLERGY in described[0]


async def test_a_call_that_goes_back_and_forth_keeps_its_tools_and_its_node(
    bot: BotProcess,
) -> None:
    async with a_call(bot, Model()) as talk:
        for number in range(8):
            await talk.types(f"Te cuento la parte {number} de mi viaje a Oaxaca.")
            await talk.types("Eso es todo.")
            await talk.client.event("node-changed", node="wrap_up", timeout_secs=30)
            await talk.types("Sigamos.")
        prompts = talk.prompts

    assert max(size(messages) for messages in prompts) < 3 * LIMIT
    assert not [messages for messages in prompts if broken_calls(messages)]
    instructions = [text for text in texts(prompts[-1]) if text == NODE]
    assert 1 <= len(instructions) <= 3


async def test_nobody_waits_for_a_summary(bot: BotProcess) -> None:
    sums_up = asyncio.Event()
    model = Model(sums_up=sums_up)
    # What is remembered of the person stays, and is no part of the talk.
    async with a_call(bot, model, SONORA_MEMORY="off") as talk:
        waits: list[float] = []
        while not model.summed_up:
            await talk.types(f"Te cuento la parte {len(waits)} de mi viaje a Oaxaca.")
            waits.append(0.0)
        waits = [await talk.types(f"Y después vino la parte {number}.") for number in range(4)]
        whole = size(talk.prompts[-1])
        answered = len(talk.vendors.openai.log.of("answered"))
        sums_up.set()
        await talk.vendors.openai.log.wait_for("answered", answered + 1)
        await talk.types("Eso fue lo último.")
        await talk.types("Y nada más.")
        after = size(talk.prompts[-1])

    assert max(waits) < 2.0
    assert after < whole - LIMIT // 4


async def test_a_summary_that_fails_costs_nothing_and_is_not_asked_for_every_turn(
    bot: BotProcess,
) -> None:
    model = Model(refuses=True)
    async with a_call(bot, model) as talk:
        for number in range(24):
            await talk.types(f"Te cuento la parte {number} de mi viaje a Oaxaca.")
        prompts, asked = talk.prompts, len(model.summed_up)
        notices = talk.client.events("notice")

    assert not [notice for notice in notices if notice["code"] != DROPPED]
    # Each is sent twice by the client.
    assert 1 <= asked / 2 <= 6
    assert "Te cuento la parte 0 de mi viaje a Oaxaca." in texts(prompts[-1])


async def test_a_prompt_that_is_refused_for_its_length_is_answered(bot: BotProcess) -> None:
    model = Model()

    def small(request: ChatRequest) -> Reply:
        if size([{}, *request.messages]) > 6_000:
            return Reply(status=400, refusal="Too long.", code="context_length_exceeded")
        return model(request)

    async with a_call(bot, model, SONORA_PROMPT_CHARS="100000") as talk:
        talk.vendors.openai.model = small
        for number in range(12):
            await talk.types(f"{number}. " + "Hubo música, comida y mucha gente en la plaza. " * 10)
        notices = talk.client.events("notice")
        ended = talk.client.events("conversation-ended")

    assert not [notice for notice in notices if notice["code"] != DROPPED]
    assert not ended

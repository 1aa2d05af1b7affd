"""What a person does all at once in calls with tools and files: fifty files, words into a line that
only bridges a wait, and a hang-up while a file is on its way. The calls share a bot."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from simulators.vendors.tool_api import Answer, ToolApi
from tests.session.conftest import transcript_of
from tests.session.talking import Vendors, bot_with_keys, guide, serving_vendors, talking

pytestmark = [
    pytest.mark.session,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

FILES = 50
BOOK = "Resérvame la mesa cuatro."
BOOKED = "Listo, quedó reservada la mesa cuatro."
WEATHER = "Y qué tiempo va a hacer mañana."
SUNNY = "Mañana hará sol."
READ = "Lo he leído."
TOOLS = """
tools:
  - name: book_table
    description: Book a table at the restaurant.
    parameters: {type: object, properties: {table: {type: string}}, required: [table]}
    request: {method: POST, url: "${TOOL_API}/bookings", body: {table: "{{ table }}"}}
    answer: {path: booking}
    time_limit_secs: 60
"""


def model(request: ChatRequest) -> Reply:
    """Books, tells what came of it, talks of the weather, and reads what it is shown."""
    if not request.body["stream"]:
        return guide(request)
    told = str(request.messages[-1].get("content"))
    if "B-77" in told:
        return Reply(BOOKED)
    if request.last_said == BOOK:
        return Reply(calls=(ToolCall("book_table", {"table": "4"}),))
    return Reply(SUNNY if request.last_said == WEATHER else READ, token_secs=0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncGenerator[Vendors]:
    async with serving_vendors() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncGenerator[ToolApi]:
    async with ToolApi().serving() as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(
    tmp_path_factory: pytest.TempPathFactory, vendors: Vendors, api: ToolApi
) -> AsyncGenerator[BotProcess]:
    folder: Path = tmp_path_factory.mktemp("bot")
    (folder / "tools.yaml").write_text(TOOLS)
    tools = str(folder / "tools.yaml")
    with bot_with_keys(folder, vendors, SONORA_TOOLS_FILE=tools, TOOL_API=api.url) as process:
        yield process


def text_part(file: str, number: int) -> dict[str, Any]:
    """A document that is one part."""
    data = base64.b64encode(f"Página {number}.".encode()).decode()
    return {"id": file, "index": 0, "total": 1, "data": f"data:text/plain;base64,{data}"}


async def test_of_fifty_files_at_once_each_is_taken_or_refused_in_words(
    bot: BotProcess, vendors: Vendors
) -> None:
    async with talking(bot, vendors) as talk:
        vendors.openai.model = model
        files = [str(uuid4()) for _ in range(FILES)]
        sent = await asyncio.gather(
            *(talk.client.action("file_part", **text_part(f, n)) for n, f in enumerate(files))
        )
        answers = zip(files, sent, strict=True)
        taken = [file for file, answer in answers if answer["type"] == "server-response"]
        refused = [answer["data"] for answer in sent if answer["type"] != "server-response"]
        every = await talk.client.action("user_multimodal_message", text="Mira", files=files)
        shown = await talk.client.action("user_multimodal_message", text="Mira", files=taken)
        await talk.is_recorded()
        await talk.is_recorded()
        # There is place again, so nothing is lost of what was refused.
        again = await talk.client.action("file_part", **text_part(files[-1], 49))
        more = await talk.client.action("user_multimodal_message", text="Y mira", files=files[-1:])
        await talk.is_recorded()
        await talk.is_recorded()
    assert len(taken) + len(refused) == FILES
    assert {answer["code"] for answer in refused} == {"too_many_files"}
    assert all(
        "Se envían 4 archivos a la vez como máximo" in answer["message"] for answer in refused
    )
    assert every["data"]["code"] == "too_many_files"
    assert "Cada turno lleva 4 archivos como máximo" in every["data"]["message"]
    assert [file["chars"] for file in shown["data"]["d"]["files"]] == [9] * len(taken)
    assert again["type"] == more["type"] == "server-response"
    kept = [len(m.images or []) for m in (await talk.transcript()).messages if m.role == "user"]
    assert kept == [len(taken), 1]


async def test_words_into_a_line_that_bridges_a_wait_are_answered_and_the_tool_is_told_once(
    bot: BotProcess, vendors: Vendors, api: ToolApi
) -> None:
    come = asyncio.Event()
    api.answer = lambda _: Answer({"booking": "B-77"}, held=come)
    async with talking(bot, vendors) as talk:
        vendors.openai.model = model
        await talk.say(BOOK)
        await talk.client.event("tool-call", state="started")
        # Nothing but the line is heard until the tool answers.
        await talk.client.sound(since=time.monotonic())
        vendors.deepgram.hears.append(WEATHER)
        talk.client.microphone.say(await speech(WEATHER))
        await talk.client.microphone.said()
        await talk.is_recorded()
        await talk.is_recorded()
        come.set()
        await talk.client.event("tool-call", state="done")
        await talk.is_recorded()
    said = [message.content for message in (await talk.transcript()).messages]
    assert said[1:] == [BOOK, WEATHER, SUNNY, BOOKED]


async def test_a_hang_up_while_a_file_is_on_its_way_costs_the_file_alone(
    bot: BotProcess, vendors: Vendors
) -> None:
    async with talking(bot, vendors) as talk:
        vendors.openai.model = model
        half = {**text_part(str(uuid4()), 1), "total": 2}
        assert (await talk.client.action("file_part", **half))["type"] == "server-response"
        await talk.say(WEATHER)
        await talk.is_recorded()
        # The hang-up comes while this does.
        second = {"action": "file_part", "arguments": {**half, "index": 1}}
        talk.client.send("client-message", {"t": "action", "d": second})
    first = await talk.transcript()
    assert [m.content for m in first.messages][1:] == [WEATHER, SUNNY]
    assert not any(m.images for m in first.messages)
    owner = first.conversation.user_id
    assert owner is not None
    async with talking(bot, vendors, conversation_id=talk.id, user_id=owner) as back:
        vendors.openai.model = model
        gone = await back.client.action("user_multimodal_message", files=[half["id"]])
        assert gone["data"]["code"] == "not_found"
        await back.client.action("file_part", **text_part(half["id"], 1))
        shown = await back.client.action("user_multimodal_message", text="Mira", files=[half["id"]])
        assert shown["type"] == "server-response"
        await back.is_recorded()
    assert any(m.images for m in (await transcript_of(bot, talk.id)).messages)

"""Whole calls in which the model uses tools of a service on loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from simulators.vendors.tool_api import Answer, ToolApi
from sonora_app.storage.tool_calls import ToolStatus
from tests.session.talking import Vendors, bot_with_keys, serving_vendors, talking

pytestmark = [pytest.mark.session, pytest.mark.slow]

BOOK = "Resérvame la mesa cuatro."
BOOKED = "Listo, quedó reservada la mesa cuatro."
WEATHER = "Y qué tiempo va a hacer mañana."
SUNNY = "Mañana hará sol."
SECRET = "tool-secret-9d1f"
TOOLS = """
tools:
  - name: book_table
    description: Book a table at the restaurant.
    parameters:
      type: object
      properties: {table: {type: string}}
      required: [table]
    request:
      method: POST
      url: ${TOOL_API}/tables/{{ table }}/bookings
      headers: {Authorization: "Bearer ${TOOL_SECRET}"}
      body: {table: "{{ table }}"}
    answer: {path: booking}
    time_limit_secs: 60
"""


@pytest.fixture
async def api() -> AsyncGenerator[ToolApi]:
    async with ToolApi().serving() as service:
        yield service


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with serving_vendors() as made:
        yield made


def guide(request: ChatRequest) -> Reply:
    """A model that books a table, and tells what came of it once it knows."""
    if not request.body["stream"]:
        return Reply(json.dumps({"title": "Mesa", "summary": "Reservó.", "topics": ["mesa"]}))
    last, words = request.messages[-1], []
    if last["role"] == "user" and request.last_said == BOOK:
        return Reply(calls=(ToolCall("book_table", {"table": "4"}),))
    if last["role"] == "user" and request.last_said == WEATHER:
        words.append(SUNNY)
    contents = [str(message.get("content")) for message in request.messages]
    came = max((n for n, text in enumerate(contents) if "B-77" in text), default=-1)
    if came >= 0 and not any(BOOKED in text for text in contents[came:]):
        words.append(BOOKED)
    return Reply(" ".join(words), token_secs=0.02)


def _bot(folder: Path, vendors: Vendors, api: ToolApi):
    (folder / "tools.yaml").write_text(TOOLS)
    return bot_with_keys(
        folder,
        vendors,
        SONORA_TOOLS_FILE=str(folder / "tools.yaml"),
        TOOL_API=api.url,
        TOOL_SECRET=SECRET,
    )


async def test_a_quick_tool_is_answered_and_one_may_talk_on_while_a_slow_one_runs(
    tmp_path: Path, vendors: Vendors, api: ToolApi
) -> None:
    api.answer = lambda done: Answer({"booking": "B-77"}, after_secs=0.05)
    with _bot(tmp_path, vendors, api) as bot:
        async with talking(bot, vendors) as talk:
            vendors.openai.model = guide
            await talk.say(BOOK)
            ended = await talk.client.event("tool-call", state="done")
            assert ended["name"] == "book_table"
            await talk.is_recorded()
            (done,) = api.done
            assert done.path == "/tables/4/bookings"
            assert done.body == {"table": "4"}
            assert done.headers["authorization"] == f"Bearer {SECRET}"
            # The same, and the person talks on meanwhile: however long they take, the tool takes
            # longer.
            come = asyncio.Event()
            api.answer = lambda done: Answer({"booking": "B-77"}, held=come)
            await talk.say(BOOK)
            await talk.say(WEATHER)
            await talk.is_recorded()
            assert len(talk.client.events("tool-call")) == 3
            come.set()
            await talk.is_recorded()
        transcript = await talk.transcript()
        assert "ASYNC TOOLS" not in json.dumps(vendors.openai.bodies)
        assert SECRET not in bot.logged()
        assert "/tables/4" not in bot.logged()
    assert len(api.done) == 2
    assert len({done.key for done in api.done}) == 2
    said = [message.content for message in transcript.messages]
    assert said[1:] == [BOOK, BOOKED, BOOK, WEATHER, SUNNY, BOOKED]
    assert [call.status for call in transcript.tool_calls] == [ToolStatus.DONE] * 2


async def test_a_hang_up_and_a_kill_lose_no_result_and_do_nothing_twice(
    tmp_path: Path, vendors: Vendors, api: ToolApi
) -> None:
    api.answer = lambda done: Answer({"booking": "B-77"}, after_secs=2.0)
    with _bot(tmp_path, vendors, api) as bot:
        async with talking(bot, vendors) as talk:
            vendors.openai.model = guide
            await talk.say(BOOK)
            await talk.client.event("tool-call", state="started")
        (call,) = (await talk.transcript()).tool_calls
        assert (call.status, call.result) == (ToolStatus.DONE, "B-77")
    assert len(api.done) == 1

"""A call whose bot uses an MCP server, which is away, comes, and is started anew meanwhile."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.vendors.mcp import Hotel, McpServerThread
from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from sonora_app.storage.tool_calls import ToolStatus
from tests.session.remembering import World, bot_with_model, somebody
from tests.session.test_booking import model

pytestmark = [pytest.mark.session, pytest.mark.slow]

TOOLS = """
mcp:
  - name: hotel
    url: {url}
    tools:
      rooms: {{ repeatable: true }}
      guests:
      book:
  - name: nowhere
    url: http://127.0.0.1:9/mcp
    headers: {{ Authorization: "Bearer ${{HOTEL_KEY}}" }}
    tools: [spa]
"""
CALLED = {
    "¿Qué cuartos hay?": ToolCall("hotel_rooms"),
    "¿Quién está?": ToolCall("hotel_guests"),
    "Quiero el siete.": ToolCall("hotel_book", {"room": 7}),
}


class Clerk:
    """A model that tells what a tool answered, word for word."""

    def __init__(self) -> None:
        self.offered: set[str] = set()

    def answer(self, request: ChatRequest) -> Reply:
        if not request.body.get("stream"):
            told = {
                "title": "Un cuarto",
                "summary": "Reservó.",
                "topics": [],
                "outcome": "resolved",
            }
            return Reply(json.dumps({**told, "facts": [], "ended": []}))
        self.offered |= {*request.tools}
        if request.messages[-1]["role"] == "tool":
            result: dict[str, Any] = json.loads(request.messages[-1]["content"])
            return Reply(f"{result['status']}: {result.get('result')}")
        return Reply(calls=(CALLED[request.last_said],))


async def test_a_server_is_used_in_a_call_and_one_that_is_away_costs_only_its_tools(
    tmp_path: Path,
) -> None:
    hotel, clerk = Hotel(), Clerk()
    server = McpServerThread(hotel)
    server.start()
    file = tmp_path / "tools.yaml"
    file.write_text(TOOLS.format(url=server.url), "utf-8")
    try:
        with (
            model(clerk.answer) as vendor,
            bot_with_model(
                tmp_path, vendor, SONORA_TOOLS_FILE=str(file), HOTEL_KEY="s3cret-of-the-test"
            ) as bot,
        ):
            world = World(bot, vendor)
            async with world.call(somebody(), language="es") as call:
                rooms = await call.replies("¿Qué cuartos hay?")
                assert rooms == 'done: [{"room":7,"beds":2},{"room":9,"beds":1}]'
                assert await call.replies("¿Quién está?") == "done: []"
                # Started anew between two calls.
                server.stop()
                server.start()
                assert await call.replies("Quiero el siete.") == "done: Room 7 is booked."
            transcript = await world.transcript(call.id)
            log = bot.logged()
    finally:
        server.close()
    assert {"hotel_rooms", "hotel_guests", "hotel_book"} <= clerk.offered
    assert not [name for name in clerk.offered if name.startswith("nowhere")]
    assert "The MCP server nowhere is away: no connection" in log
    assert "s3cret-of-the-test" not in log
    kept = transcript.tool_calls
    assert [each.name for each in kept] == ["hotel_rooms", "hotel_guests", "hotel_book"]
    assert {each.status for each in kept} == {ToolStatus.DONE}
    assert (hotel.booked, hotel.keys) == ([7], [kept[2].idempotency_key])

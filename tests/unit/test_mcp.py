"""The tools of MCP servers, against the SDK's own server on loopback."""

import asyncio
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from simulators.clients.waiting import Waiting
from simulators.vendors.mcp import Hotel, McpServerThread
from sonora_app.doctor.mcp_checks import examine_servers
from sonora_app.errors import SettingsError
from sonora_app.settings import Settings
from sonora_app.tools.mcp import connection as connection_module
from sonora_app.tools.mcp.connection import McpConnection
from sonora_app.tools.mcp.declaration import load_servers
from sonora_app.tools.mcp.faults import McpUnavailableError
from sonora_app.tools.mcp.servers import McpServer, filled, offered_name
from sonora_app.tools.mcp.tools import McpTools
from sonora_app.tools.tool import Outcome, OutcomeStatus

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
ALL = ["book", "rooms", "names", "guests", "free", "quiet", "view", "cancel", "long"]


def declared(**fields: Any) -> McpServer:
    return McpServer.model_validate({"name": "hotel", "tools": ALL, **fields})


def no_setting(name: str) -> str:
    raise AssertionError(name)


@pytest.fixture(scope="module")
def running() -> Generator[McpServerThread]:
    """A server that nobody cuts off, for the tests that only ask it."""
    server = McpServerThread(Hotel())
    server.start()
    yield server
    server.close()


@pytest.fixture
def cut() -> Generator[McpServerThread]:
    """A server of its own, to cut off and start anew."""
    server = McpServerThread(Hotel())
    server.start()
    yield server
    server.close()


async def asked(connection: McpConnection, name: str, **arguments: Any) -> Outcome:
    (tool,) = [each for each in connection.tools if each.name == offered_name("hotel", name)]
    return await connection.run(tool, arguments, key=f"key of {name}")


async def test_what_tools_answer_is_told_as_it_is(running: McpServerThread) -> None:
    connection = McpConnection(declared(url=running.url), no_setting)
    await connection.connect()
    try:
        told = {
            name: await asked(connection, name)
            for name in ("rooms", "names", "guests", "free", "quiet", "view", "long")
        }
        booked = await asked(connection, "book", room=7)
        refused = await asked(connection, "cancel", room=3)
        mistaken = await asked(connection, "book", room="the blue one")
    finally:
        await connection.aclose()
    assert {each.status for each in (*told.values(), booked)} == {OutcomeStatus.DONE}
    assert json.loads(told["rooms"].text) == [{"room": 7, "beds": 2}, {"room": 9, "beds": 1}]
    assert json.loads(told["names"].text) == ["Sol", "Luna"]
    assert (told["guests"].text, told["free"].text) == ("[]", "0")
    assert told["quiet"].text == "It was done. The answer is empty."
    assert told["view"].text == "The sea.\n[A picture (image/png), which cannot be shown here.]"
    assert len(told["long"].text) == 2_000
    assert told["long"].text.endswith("[The rest is left out.]")
    assert booked.text == "Room 7 is booked."
    assert (running.hotel.booked, running.hotel.keys) == ([7], ["key of book"])
    assert refused.status is OutcomeStatus.FAILED
    assert "Room 3 is not booked." in refused.text
    assert mistaken.status is OutcomeStatus.FAILED


async def test_only_what_is_named_is_offered_and_as_it_is_declared(
    running: McpServerThread,
) -> None:
    tools: dict[str, Any] = {
        "book": {"confirm": True, "time_limit_secs": 3, "nodes": ["wrap_up"]},
        "rooms": {"repeatable": True, "description": "Free rooms."},
        "spa": None,
    }
    connection = McpConnection(declared(url=running.url, tools=tools), no_setting)
    await connection.connect()
    await connection.aclose()
    book, rooms = connection.tools
    assert connection.missing == ("spa",)
    assert (book.name, book.source, book.description) == ("hotel_book", "hotel", "Book a room.")
    assert (book.confirm, book.repeatable, book.time_limit_secs) == (True, False, 3)
    assert (book.nodes, rooms.nodes) == (("wrap_up",), ("conversation",))
    assert (rooms.repeatable, rooms.description) == (True, "Free rooms.")
    assert book.parameters["required"] == ["room"]


async def test_an_answer_that_does_not_come_is_not_known_to_be_done(cut: McpServerThread) -> None:
    tools = {"book": {"time_limit_secs": 0.5}, "rooms": None}
    connection = McpConnection(declared(url=cut.url, tools=tools), no_setting)
    await connection.connect()
    try:
        waiting = Waiting()
        late = await asked(connection, "book", room=1, secs=30)
        assert late.status is OutcomeStatus.UNKNOWN
        assert 0.4 < late.duration_secs < 0.9 + waiting.excused_secs
        # The connection is none the worse for it.
        assert (await asked(connection, "rooms")).status is OutcomeStatus.DONE
    finally:
        await connection.aclose()
    assert cut.hotel.booked == [1]


@pytest.mark.parametrize("sessions", [False, True], ids=["stateless", "with sessions"])
async def test_a_server_that_was_started_anew_is_used_again(sessions: bool) -> None:
    server = McpServerThread(Hotel(), sessions=sessions)
    server.start()
    connection = McpConnection(declared(url=server.url), no_setting)
    try:
        await connection.connect()
        assert (await asked(connection, "book", room=1)).status is OutcomeStatus.DONE
        server.stop()
        server.start()
        assert (await asked(connection, "book", room=2)).status is OutcomeStatus.DONE

        # Cut off while it books: nobody knows, and it is not tried again.
        booking = asyncio.create_task(asked(connection, "book", room=3, secs=20))
        while server.hotel.booked != [1, 2, 3]:
            await asyncio.sleep(0.01)
        server.stop()
        assert (await booking).status is OutcomeStatus.UNKNOWN

        # It is away: nothing is done, and everybody knows.
        assert (await asked(connection, "book", room=4)).status is OutcomeStatus.REFUSED
        server.start()
        assert (await asked(connection, "book", room=5)).status is OutcomeStatus.DONE
    finally:
        await connection.aclose()
        server.close()
    assert server.hotel.booked == [1, 2, 3, 5]


async def test_what_may_be_repeated_is_made_again_after_a_lost_answer(
    cut: McpServerThread,
) -> None:
    """And it is not told as not done where the server does not come back."""
    tools = {"book": {"repeatable": True, "time_limit_secs": 8}}
    connection = McpConnection(declared(url=cut.url, tools=tools), no_setting)
    await connection.connect()
    try:
        for back, expected in ((True, OutcomeStatus.DONE), (False, OutcomeStatus.UNKNOWN)):
            cut.hotel.booked.clear()
            cut.hotel.slow_secs = [20.0]
            booking = asyncio.create_task(asked(connection, "book", room=1))
            while not cut.hotel.booked:
                await asyncio.sleep(0.01)
            cut.stop()
            if back:
                cut.start()
            assert (await booking).status is expected
            assert len(cut.hotel.booked) == (2 if back else 1)
    finally:
        await connection.aclose()


async def test_a_server_that_is_away_costs_its_tools_until_it_is_back(
    running: McpServerThread, cut: McpServerThread
) -> None:
    """Two servers may have tools of the same name."""
    cut.stop()
    inn = declared(name="inn", url=cut.url, tools=["book", "spa"])
    tools = McpTools([declared(url=running.url, tools=["book"]), inn], no_setting)
    tools.start()
    try:
        await tools.ready(within_secs=10)
        assert tools.states == {"hotel": "connected", "inn": "away"}
        assert [tool.name for tool in tools.tools] == ["hotel_book"]
        assert tools.problems == {"inn": "no connection"}
        cut.start()
        async with asyncio.timeout(30):
            while tools.states["inn"] != "connected":
                await asyncio.sleep(0.05)
        assert [tool.name for tool in tools.tools] == ["hotel_book", "inn_book"]
        assert tools.problems == {"inn": "it does not have spa"}
        (_, book) = tools.tools
        outcome = await tools.runners[book.source].run(book, {"room": 8}, key="k")
        assert outcome.status is OutcomeStatus.DONE
        assert cut.hotel.booked == [8]
    finally:
        await tools.aclose()


async def test_a_command_that_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long Python takes to start on a busy machine is not what is looked at.
    monkeypatch.setattr(connection_module, "CONNECT_SECS", 60.0)
    server = declared(
        command=sys.executable,
        args=["-m", "simulators.vendors.mcp"],
        env={"PYTHONPATH": str(PROJECT)},
        tools=["rooms"],
    )
    connection = McpConnection(server, no_setting)
    try:
        await connection.connect()
        assert '"room":9' in (await asked(connection, "rooms")).text
    finally:
        await connection.aclose()


async def test_a_command_that_is_not_there() -> None:
    connection = McpConnection(declared(command="/no/such/command"), no_setting)
    with pytest.raises(McpUnavailableError, match="No such file"):
        await connection.connect()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "http://a/mcp", "command": "b"},
        {"url": "ftp://a"},
        {"url": "http://a/mcp", "args": ["-x"]},
        {"command": "b", "headers": {"A": "b"}},
        {"url": "http://a/mcp", "tools": []},
        {"url": "http://a/mcp", "tools": {"book": {"repeat": True}}},
        {"url": "http://a/mcp", "name": "My Hotel"},
    ],
)
def test_what_cannot_be_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        declared(**wrong)


def test_secrets_are_named_and_filled_in() -> None:
    server = declared(url="http://a/mcp", headers={"Authorization": "Bearer ${HOTEL_KEY}"})
    assert server.secrets == {"HOTEL_KEY"}
    assert filled(server.headers, {"HOTEL_KEY": "s3cret"}.__getitem__) == {
        "Authorization": "Bearer s3cret"
    }


FILE = """
mcp:
  - name: hotel
    url: https://hotel.example.com/mcp
    headers: { Authorization: "Bearer ${HOTEL_KEY}" }
    tools: { book: { confirm: true }, rooms: }
  - name: inn
    command: inn-server
    tools: [book]
"""


def test_the_servers_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tools.yaml"
    assert load_servers(file, {}) == ()
    file.write_text("tools: []", "utf-8")
    assert load_servers(file, {}) == ()
    file.write_text(FILE, "utf-8")
    hotel, inn = load_servers(file, {"HOTEL_KEY": "s3cret"}, nodes=["conversation"])
    assert (list(hotel.tools), hotel.tools["book"].confirm) == (["book", "rooms"], True)
    assert (inn.command, list(inn.tools)) == ("inn-server", ["book"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("HOTEL_KEY}", "NO_KEY}", "server hotel, NO_KEY is not set"),
        ("name: inn", "name: hotel", "server hotel, name: another server has it"),
        ("[book]", "{book: {nodes: [lobby]}}", "server inn, nodes: lobby is no node of the flow"),
        (
            "[book]",
            "{book: {repeat: yes}}",
            "server inn, tools.book.repeat: there is no such field",
        ),
        ("name: inn", "name: The Inn", "server The Inn, name: String should match"),
        ("{ book: { confirm: true }, rooms: }", "[remember]", "hotel_remember is another function"),
        (FILE, "mcp: hotel", "mcp: is a list of servers"),
    ],
)
def test_mistakes_name_the_server_and_the_field(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    file = tmp_path / "tools.yaml"
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1), "utf-8")
    variables = {"HOTEL_KEY": "s3cret"}
    with pytest.raises(SettingsError) as caught:
        load_servers(file, variables, nodes=["conversation"], taken=["hotel_remember"])
    assert told in caught.value.message
    assert "s3cret" not in str(caught.value)


async def test_the_doctor_names_a_server_that_is_away_or_has_other_tools(
    running: McpServerThread, tmp_path: Path
) -> None:
    file = tmp_path / "tools.yaml"
    settings = Settings.model_validate({"ENV": "local", "SONORA_TOOLS_FILE": str(file)})
    file.touch()
    assert await examine_servers(settings) == []
    servers: list[dict[str, Any]] = [
        {"name": "hotel", "url": running.url, "tools": ["book", "rooms"]},
        {"name": "inn", "url": running.url, "tools": ["spa"]},
        {"name": "nowhere", "url": "http://127.0.0.1:9/mcp", "tools": ["spa"]},
    ]
    # JSON is YAML.
    file.write_text(json.dumps({"mcp": servers}), "utf-8")
    found = {name: (state, told) for name, (state, told, _) in await examine_servers(settings)}
    assert found == {
        "hotel": ("ok", "connected, 2: hotel_book, hotel_rooms"),
        "inn": ("problem", "it does not have spa"),
        "nowhere": ("problem", "away: no connection"),
    }
    file.write_text("mcp: hotel", "utf-8")
    ((_, (state, told, _)),) = await examine_servers(settings)
    assert (state, "mcp: is a list of servers" in told) == ("problem", True)

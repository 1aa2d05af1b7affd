"""The worked example, `examples/booking/`: somebody books a table, changes their mind, and cancels.

The bot is a process of its own with the example's tools.yaml; the API is the example's, and the
model is scripted on the wire and does what a good one would.
"""

import asyncio
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import uvicorn

from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.port import ReservedPort
from sonora_app.storage.tool_calls import ToolStatus
from tests.session.remembering import World, bot_with_model, somebody

pytestmark = [pytest.mark.session, pytest.mark.slow]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "booking"
DAY = "2026-12-04"
KEY = "a-key-of-the-test"
CANCELLING = "¿Cancelo la de las nueve y media?"


def example() -> ModuleType:
    """The example's api.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("booking_api_example", EXAMPLE / "api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def serving(app: Any) -> Generator[str]:
    """An application of its own on loopback; gives its address."""
    port = ReservedPort()
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=lambda: server.run(sockets=[port.listen()]), daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port.number}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        port.release()


@contextmanager
def model(answer: Callable[[ChatRequest], Reply]) -> Generator[OpenAIVendor]:
    """A scripted model on loopback, on a loop of its own."""
    vendor = OpenAIVendor(f"sk-{uuid4()}")
    vendor.model = answer
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with vendor.serving():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield vendor
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


class Guest:
    """What the model does, by what the guest said last and what the tools answered since."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.results: list[tuple[str, dict[str, Any]]] = []

    def answer(self, request: ChatRequest) -> Reply:
        if not request.body.get("stream"):
            described = {"title": "Una mesa", "summary": "Reservó.", "topics": ["mesa"]}
            return Reply(json.dumps({**described, "outcome": "resolved", "facts": [], "ended": []}))
        if request.messages[-1]["role"] == "tool":
            return self._told(request)
        match request.last_said:
            case "Quiero una mesa para el viernes, somos cuatro.":
                return Reply(calls=(ToolCall("free_tables", {"day": DAY}),))
            case "A las nueve y media, a nombre de Ana.":
                return Reply(calls=(self._booking("21:30"),))
            case "Mejor a las ocho.":
                return Reply(calls=(self._booking("20:00"),))
            case "Sí, cancela la de las nueve y media.":
                sure = {"code": self.codes[0], "confirmed_by": CANCELLING}
                return Reply(calls=(ToolCall("cancel_booking", sure),))
            case "Al final no vamos.":
                return Reply(calls=(ToolCall("cancel_booking", {"code": self.codes[1]}),))
            case "Sí, seguro.":
                return Reply(calls=(ToolCall("cancel_booking", {"code": self.codes[1]}),))
            case _:
                return Reply("¿Cómo dice?")

    def _booking(self, hour: str) -> ToolCall:
        wanted = {"name": "Ana", "day": DAY, "hour": hour, "people": 4}
        return ToolCall("book_table", wanted)

    def _told(self, request: ChatRequest) -> Reply:
        message = request.messages[-1]
        called = {
            call["id"]: call["function"]["name"]
            for each in request.messages
            for call in each.get("tool_calls") or ()
        }
        name = called[message["tool_call_id"]]
        result: dict[str, Any] = json.loads(message["content"])
        self.results.append((name, result))
        text = str(result.get("result", ""))
        if result["status"] == "to_be_confirmed":
            return Reply("¿La cancelo, entonces?")
        if name == "free_tables":
            return Reply(f"Hay mesa a estas horas: {', '.join(json.loads(text))}.")
        if name == "book_table":
            self.codes.append(text.split()[2].rstrip(","))
            booked = f"Reservado. Su código es {self.codes[-1]}."
            return Reply(booked if len(self.codes) == 1 else f"{booked} {CANCELLING}")
        return Reply("Cancelada.")


async def test_somebody_books_changes_their_mind_and_cancels(tmp_path: Path) -> None:
    api, guest = example(), Guest()
    restaurant = api.Restaurant()
    with (
        serving(api.booking_api(restaurant, KEY)) as url,
        model(guest.answer) as vendor,
        bot_with_model(
            tmp_path,
            vendor,
            SONORA_TOOLS_FILE=str(EXAMPLE / "tools.yaml"),
            BOOKING_URL=url,
            BOOKING_KEY=KEY,
        ) as bot,
    ):
        world = World(bot, vendor)
        async with world.call(somebody(), language="es") as call:
            free = await call.replies("Quiero una mesa para el viernes, somos cuatro.")
            assert free == "Hay mesa a estas horas: 13:00, 14:30, 20:00, 21:30."
            booked = await call.replies("A las nueve y media, a nombre de Ana.")
            assert booked == f"Reservado. Su código es {guest.codes[0]}."
            seen = len(call.page.messages)
            await call.replies("Mejor a las ocho.")
            # What the bot asks counts once it was said to the end.
            await call.page.event(
                "message-recorded", after=seen, role="assistant", interrupted=False
            )
            assert sorted(each.hour for each in restaurant.bookings.values()) == ["20:00", "21:30"]

            # They were asked whether to, and are not asked again.
            assert await call.replies("Sí, cancela la de las nueve y media.") == "Cancelada."
            # It is not cancelled before they have said yes, however clear they were.
            assert await call.replies("Al final no vamos.") == "¿La cancelo, entonces?"
            assert len(restaurant.bookings) == 1
            assert await call.replies("Sí, seguro.") == "Cancelada."
            events = [
                message["data"]
                for message in call.page.messages
                if message["type"] == "server-message"
                and message["data"].get("event") == "tool-call"
            ]
        transcript = await world.transcript(call.id)
    assert restaurant.bookings == {}
    first, second = guest.codes
    assert restaurant.requests == [
        ("book", first),
        ("book", second),
        ("cancel", first),
        ("cancel", second),
    ]
    done = ["free_tables", "book_table", "book_table", "cancel_booking", "cancel_booking"]
    assert [each.name for each in transcript.tool_calls] == done
    assert {each.status for each in transcript.tool_calls} == {ToolStatus.DONE}
    assert transcript.tool_calls[1].arguments["hour"] == "21:30"
    assert [each["name"] for each in events if each["state"] == "done"] == done
    assert KEY not in bot.logged()
    assert "Ana" not in bot.logged()

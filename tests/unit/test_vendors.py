"""The simulated vendors: what they send, when, and how they fail."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import numpy as np
import openai as openai_sdk
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.deepgram import EAGER_SECS, QUIET_SECS, DeepgramVendor
from simulators.vendors.faults import Breakage, Fault
from simulators.vendors.openai import OpenAIVendor, Reply
from simulators.vendors.websocket import WebSocketVendor

pytestmark = pytest.mark.unit

KEY = "key-of-a-test"
SAID = "Quiero planear un viaje a Oaxaca en abril."
RATE = 16_000


@asynccontextmanager
async def deepgram_client(
    vendor: DeepgramVendor, path: str, **query: str
) -> AsyncGenerator[ClientConnection]:
    asked = {"sample_rate": str(RATE), "model": "nova-3", "interim_results": "true", **query}
    url = f"{vendor.url}{path}?{'&'.join(f'{name}={value}' for name, value in asked.items())}"
    async with connect(url, additional_headers={"Authorization": f"Token {KEY}"}) as connection:
        yield connection


async def play(connection: ClientConnection, secs: float, *, loud: bool = True) -> None:
    """Sound or silence, in pieces of 20 ms, faster than real time."""
    piece = (8_000 * np.sin(np.arange(RATE // 50)) * loud).astype(np.int16).tobytes()
    for _ in range(round(secs * 50)):
        await connection.send(piece)


async def messages(connection: ClientConnection, *, quiet_secs: float = 0.3) -> list[Any]:
    """What comes until nothing does."""
    came: list[Any] = []
    try:
        while True:
            came.append(json.loads(await asyncio.wait_for(connection.recv(), quiet_secs)))
    except (TimeoutError, ConnectionClosed):
        return came


@pytest.fixture
async def deepgram() -> AsyncGenerator[DeepgramVendor]:
    vendor = DeepgramVendor(KEY)
    async with vendor.serving():
        yield vendor


# --- Deepgram


async def test_nova_tells_interim_results_and_the_final_one_when_asked(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears.append(SAID)
    async with deepgram_client(deepgram, "/v1/listen") as nova:
        await play(nova, 2.0)
        await play(nova, 0.2, loud=False)
        interims = await messages(nova)
        await nova.send(json.dumps({"type": "Finalize"}))
        (final,) = await messages(nova)
        await nova.send(json.dumps({"type": "CloseStream"}))
        (metadata,) = await messages(nova)
    heard = [interim["channel"]["alternatives"][0]["transcript"] for interim in interims]
    assert len(heard) >= 6
    assert all(SAID.startswith(text) and text != SAID for text in heard)
    assert heard == sorted(heard, key=len)
    assert not any(interim["is_final"] or interim["from_finalize"] for interim in interims)
    assert final["is_final"]
    assert final["from_finalize"]
    alternative = final["channel"]["alternatives"][0]
    assert alternative["transcript"] == SAID
    times = [(word["start"], word["end"]) for word in alternative["words"]]
    assert times == sorted(times)
    assert times[0][0] == pytest.approx(0.02, abs=0.05)
    assert times[-1][1] == pytest.approx(2.0, abs=0.05)
    assert metadata["type"] == "Metadata"
    assert metadata["duration"] == pytest.approx(2.2, abs=0.01)


async def test_one_stretch_may_come_in_several_finals(deepgram: DeepgramVendor) -> None:
    deepgram.hears.append(("Quiero planear un viaje", "a Oaxaca en abril."))
    async with deepgram_client(deepgram, "/v1/listen", interim_results="false") as nova:
        await play(nova, 1.0)
        await nova.send(json.dumps({"type": "Finalize"}))
        first, last = await messages(nova)
    assert (first["is_final"], first["from_finalize"]) == (True, False)
    assert (last["is_final"], last["from_finalize"]) == (True, True)


async def test_flux_goes_through_the_states_of_a_turn(deepgram: DeepgramVendor) -> None:
    deepgram.hears.append(SAID)
    asked = {"eager_eot_threshold": "0.5", "model": "flux-general-multi"}
    async with deepgram_client(deepgram, "/v2/listen", **asked) as flux:
        await play(flux, 0.5, loud=False)
        await play(flux, 1.0)
        await play(flux, EAGER_SECS + 0.1, loud=False)
        await play(flux, 0.6)
        await play(flux, QUIET_SECS + 0.1, loud=False)
        came = await messages(flux)
    assert came[0]["type"] == "Connected"
    assert [message["sequence_id"] for message in came] == list(range(len(came)))
    states = [message["event"] for message in came[1:] if message["event"] != "Update"]
    assert states == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
    by_event = {message["event"]: message for message in came[1:]}
    assert by_event["EndOfTurn"]["transcript"] == SAID == by_event["EagerEndOfTurn"]["transcript"]
    assert by_event["EndOfTurn"]["trigger"] == "model"
    updates = [message for message in came[1:] if message["event"] == "Update"]
    assert updates[0]["transcript"] == ""  # before the turn: Flux tells that it is there
    assert any(SAID.startswith(update["transcript"]) and update["transcript"] for update in updates)
    assert {message["turn_index"] for message in came[1:]} == {0}


async def test_flux_is_not_eager_unless_asked(deepgram: DeepgramVendor) -> None:
    deepgram.hears.append(SAID)
    async with deepgram_client(deepgram, "/v2/listen") as flux:
        await play(flux, 0.5)
        await play(flux, QUIET_SECS + 0.1, loud=False)
        came = await messages(flux)
    states = [message["event"] for message in came[1:] if message["event"] != "Update"]
    assert states == ["StartOfTurn", "EndOfTurn"]


@pytest.mark.parametrize("path", ["/v1/listen", "/v2/listen"])
@pytest.mark.parametrize("after_secs", [0.2, None])
@pytest.mark.parametrize("how", list(Breakage))
async def test_a_recogniser_fails_as_it_is_told_and_once(
    deepgram: DeepgramVendor, how: Breakage, after_secs: float | None, path: str
) -> None:
    async def finals(connection: ClientConnection) -> list[str]:
        await play(connection, 0.5)
        await play(connection, QUIET_SECS + 0.1, loud=False)
        if path == "/v1/listen":
            await connection.send(json.dumps({"type": "Finalize"}))
        came: list[str] = []
        async with asyncio.timeout(1):
            async for raw in connection:
                message = json.loads(raw)
                if message.get("is_final") or message.get("event") == "EndOfTurn":
                    alternatives = message.get("channel", {}).get("alternatives", [message])
                    return [*came, alternatives[0]["transcript"]]
                if message.get("type") == "Error":
                    came.append("error")
        return came

    deepgram.hears.append(SAID)
    deepgram.fault = Fault(how, after_secs=after_secs)
    async with deepgram_client(deepgram, path) as connection:
        try:
            told: object = await finals(connection)
        except (ConnectionClosedError, TimeoutError, json.JSONDecodeError) as error:
            told = type(error)
    expected = {
        Breakage.DROP: (ConnectionClosedError,),
        Breakage.CLOSE: (ConnectionClosedError,),
        Breakage.STALL: (TimeoutError,),
        Breakage.SLOW: (TimeoutError,),
        Breakage.ERROR: (["error"], ConnectionClosedError),
        Breakage.GARBAGE: (json.JSONDecodeError,),
    }
    assert told in expected[how]
    async with deepgram_client(deepgram, path) as connection:
        assert await finals(connection) == [SAID]


# --- Any that speaks WebSocket


async def handshake(vendor: WebSocketVendor, *, timeout_secs: float = 0.4) -> None:
    headers = {"Authorization": f"Token {vendor.key}", "X-API-Key": vendor.key}
    url = f"{vendor.url}{vendor.paths[0]}?sample_rate=16000&model=nova-3"
    async with connect(url, additional_headers=headers, open_timeout=timeout_secs):
        pass


@pytest.mark.parametrize("kind", [DeepgramVendor, CartesiaVendor])
async def test_a_handshake_fails_as_it_is_told(kind: type[WebSocketVendor]) -> None:
    vendor = kind(KEY)
    async with vendor.serving():
        await handshake(vendor)
        for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
            vendor.refuse_with = status
            with pytest.raises(InvalidStatus) as refused:
                await handshake(vendor)
            assert refused.value.response.status_code == status
        vendor.refuse_with = None
        vendor.drips = True
        with pytest.raises(TimeoutError):
            await handshake(vendor)
        vendor.drips, vendor.handshake_secs = False, 5.0
        with pytest.raises(TimeoutError):
            await handshake(vendor)
        vendor.handshake_secs = 0.0
        for _ in range(2):
            await vendor.go_down()
            with pytest.raises(ConnectionRefusedError):
                await handshake(vendor)
            await vendor.come_back()
            await handshake(vendor)


# --- OpenAI

ANSWER = "En noviembre, después de las lluvias."


def client_of(vendor: OpenAIVendor) -> openai_sdk.AsyncOpenAI:
    return openai_sdk.AsyncOpenAI(api_key=KEY, base_url=vendor.url, max_retries=0, timeout=0.5)


async def ask(client: openai_sdk.AsyncOpenAI) -> list[str]:
    stream = await client.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": "¿Cuándo?"}], stream=True
    )
    return [chunk.choices[0].delta.content or "" async for chunk in stream]


async def test_a_model_fails_as_it_is_told() -> None:
    vendor = OpenAIVendor(KEY)
    async with vendor.serving(), client_of(vendor) as client:
        for reply, failure in (
            (Reply(status=401), openai_sdk.AuthenticationError),
            (Reply(status=429), openai_sdk.RateLimitError),
            (Reply(status=500), openai_sdk.InternalServerError),
            (Reply(ANSWER, headers_secs=5), openai_sdk.APITimeoutError),
            (Reply(ANSWER, drop_after=2), Exception),
            (Reply(ANSWER, stall_after=2), Exception),
            (Reply(ANSWER, garbage_after=2), json.JSONDecodeError),
        ):
            vendor.model = lambda _, reply=reply: reply
            with pytest.raises(failure):
                await ask(client)
        vendor.model = lambda _: Reply(ANSWER, drips=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(client), 1)
        vendor.model = lambda _: Reply(ANSWER)
        await vendor.go_down()
        with pytest.raises(openai_sdk.APIConnectionError):
            await ask(client)
        await vendor.come_back()
        assert "".join(await ask(client)) == ANSWER


async def test_a_model_takes_the_time_it_is_told_to() -> None:
    vendor = OpenAIVendor(KEY)
    vendor.model = lambda _: Reply(ANSWER, first_token_secs=0.2, token_secs=0.05)
    async with vendor.serving(), client_of(vendor) as client:
        asked_at = time.monotonic()
        assert "".join(await ask(client)) == ANSWER
        begun = await vendor.log.wait_for("begun")
    assert begun.at_secs - asked_at >= 0.2
    assert time.monotonic() - begun.at_secs >= 0.05 * (len(ANSWER.split()) - 1)

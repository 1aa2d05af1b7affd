"""Whatever a page sends, and however a vendor fails, the log holds no word of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from simulators.vendors.openai import ChatRequest, Reply
from tests.session.talking import Vendors, bot_with_keys, serving_vendors

pytestmark = [
    pytest.mark.session,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

WORD = "axolotl"
"""Stands in everything that is sent here, and in nothing else."""

SAID = f"Mi {WORD} se llama {WORD}."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncGenerator[Vendors]:
    async with serving_vendors() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed_bot(
    vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[BotProcess]:
    with bot_with_keys(tmp_path_factory.mktemp("keyed"), vendors) as process:
        yield process


def malformed() -> list[Any]:
    """Messages that are none, each with the word in it."""
    ours: dict[str, Any] = {"label": "rtvi-ai", "id": WORD}
    return [
        SAID,
        [SAID],
        {"label": SAID},
        {"label": "rtvi-ai", "type": SAID, "id": WORD},
        {**ours, "type": "client-message", "data": SAID},
        {**ours, "type": "client-message", "data": {"t": SAID, "d": {"text": SAID}}},
        {**ours, "type": "client-message", "data": {"t": "action", "d": {"action": SAID}}},
        {**ours, "type": "send-text", "data": {"content": [SAID]}},
        {**ours, "type": "send-text", "data": {"content": SAID, "options": SAID}},
        {**ours, "type": "send-file", "data": {"file": SAID}},
        {**ours, "type": "dtmf", "data": {"button": SAID}},
        {**ours, "type": "raw-audio", "data": {"base64Audio": SAID}},
        {**ours, "type": "ui-event", "data": {"name": SAID}},
        {**ours, "type": "llm-function-call-result", "data": {"result": SAID}},
        {**ours, "type": "client-ready", "data": {"version": SAID, "about": {"library": SAID}}},
        {"type": "signalling", "message": {"type": SAID}},
    ]


async def test_no_malformed_message_is_logged(keyed_bot: BotProcess) -> None:
    async with page(keyed_bot.url) as client:
        await client.ready()
        for message in malformed():
            client.send_raw(message)
        opened = await client.action("set_conversation_id", user_id=f"user-{WORD}")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        for message in malformed():
            client.send_raw(message)
        await client.answer_to(client.type_text(""))
    assert opened["type"] == "server-response"
    assert WORD not in keyed_bot.logged()


async def test_no_malformed_request_is_logged(keyed_bot: BotProcess) -> None:
    # A connection each: the server closes those on which it did not read all.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=keyed_bot.url, limits=limits, timeout=30) as http:
        session = (await http.post("/start", json={"transport": "webrtc"})).json()["sessionId"]
        bodies: list[dict[str, Any]] = [
            {"content": SAID.encode()},
            {"json": [SAID]},
            {"json": {"sdp": SAID, "type": "offer"}},
            {"json": {"sdp": {"x": SAID}, "type": SAID, "pc_id": [SAID]}},
            {"json": {"pc_id": WORD, "candidates": [{"candidate": SAID}]}},
            {"json": {"transport": SAID, "body": {"user_id": {"x": SAID}}}},
            {"json": {"transport": "webrtc", "body": {"conversation_id": SAID, "user_id": SAID}}},
        ]
        for path in ("/start", "/api/offer", f"/sessions/{session}/api/offer"):
            for body in bodies:
                for method in ("POST", "PATCH"):
                    await http.request(method, path, **body)
    assert WORD not in keyed_bot.logged()


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(status=400, refusal=f"Invalid content: '{SAID}'", code="invalid_prompt"),
        Reply(status=429, refusal=f"Too many: {SAID}", code="rate_limit_exceeded"),
        Reply(status=500, refusal=SAID),
        Reply(SAID, garbage_after=3),
        Reply(SAID, drop_after=3),
    ],
    ids=["400", "429", "500", "garbage", "drop"],
)
async def test_no_answer_that_fails_is_logged(
    keyed_bot: BotProcess, vendors: Vendors, refusal: Reply
) -> None:
    def fails(request: ChatRequest) -> Reply:
        return refusal if request.body["stream"] else Reply(f"{{{SAID}")

    vendors.openai.model = fails
    asked = len(vendors.openai.bodies)
    async with page(keyed_bot.url) as client:
        await client.ready()
        await client.action("set_conversation_id", user_id="ana")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        client.type_text(SAID)
        async with asyncio.timeout(20):
            while len(vendors.openai.bodies) == asked:
                await asyncio.sleep(0.05)
        await client.event("notice", timeout_secs=30)
    assert WORD not in keyed_bot.logged()

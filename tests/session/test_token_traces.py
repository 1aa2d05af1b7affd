"""What a session leaves behind of the tokens that were used in it: nothing."""

import asyncio
import base64
import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from simulators.clients.auth_server import AuthServer, Issuer, auth_server
from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import Page, page
from sonora_app.runtime.logging import REDACTED

pytestmark = [pytest.mark.session, pytest.mark.slow]


@pytest.fixture
def auth() -> Generator[AuthServer]:
    with auth_server() as server:
        yield server


@pytest.fixture
def bot(auth: AuthServer, tmp_path: Path) -> Generator[BotProcess]:
    """A bot in rehearsal that asks for tokens, and logs all it has to say."""
    environment = {"SONORA_IDENTITY": "verified", "SUPABASE_URL": auth.url}
    with running_bot(tmp_path, SONORA_LOG_LEVEL="DEBUG", **environment) as process:
        yield process


async def test_no_part_of_a_token_is_in_anything_that_a_session_writes(
    bot: BotProcess, auth: AuthServer
) -> None:
    ana = str(uuid4())
    good, body_token = auth.token(ana), auth.token(ana)
    tokens = [
        good,
        body_token,
        auth.token(ana, lifetime_secs=-60),
        auth.token(ana, aud="other"),
        Issuer(auth.url, algorithm="RS256").token(ana),
        Issuer(auth.url, algorithm="EdDSA").token(ana),
    ]
    answers: list[dict[str, Any]] = []

    async with page(bot.url, body={"access_token": body_token, "user_id": ana}) as client:
        await client.ready()
        await client.event("conversation-opened")
        await client.event("node-changed", node="conversation")
        await client.action("set_conversation_id", access_token=good)
        client.type_text("Quiero ir a Oaxaca.")
        await client.event("message-recorded", seq=3)
        answers += client.messages

    async with page(bot.url) as client:
        await client.ready()
        for token in tokens[2:]:
            await client.action("set_conversation_id", access_token=token)
        await misuse(client, good)
        answer = await client.action("set_conversation_id", access_token=good)
        conversation_id = answer["data"]["d"]["conversation_id"]
        await client.event("node-changed", node="conversation")
        client.type_text("Eso es todo, adiós.")
        await client.event("node-changed", node="wrap_up")
        await client.event("message-recorded", seq=3)
        alive = written_by(bot)
        answers += client.messages
    async with aiohttp.ClientSession() as http:
        # As a front end that mixes up the requests may send it.
        offer = {"sdp": 1, "request_data": {"access_token": good}}
        async with http.post(f"{bot.url}/api/offer", json=offer) as response:
            assert response.status == 422
    ended = f"conversation {conversation_id} is closed"
    async with asyncio.timeout(20):
        while ended not in bot.logged():
            await asyncio.sleep(0.1)

    everything = {
        **{f"{name}, in the call": text for name, text in alive.items()},
        **written_by(bot),
        "answers": json.dumps(answers).encode(),
    }
    assert {"journal.db", "journal.db-wal, in the call", bot.log.name} <= set(everything)
    found = {
        (name, piece)
        for name, text in everything.items()
        for piece in secrets_in(tokens)
        if piece in text
    }
    assert not found
    # It was looked at what was written, and there was something to be kept out of it.
    assert any(ana.encode() in text for name, text in everything.items() if "journal" in name)
    assert bot.logged().count(REDACTED) >= 3
    assert "Refused to open a conversation" in bot.logged()
    assert " DEBUG " in bot.logged()


async def misuse(client: Page, token: str) -> None:
    """Send a token in every place where it does not belong."""
    refused = [
        await client.action("set_conversation_id", access_token=[token]),
        await client.action("set_conversation_id", access_token=token * 20),
        await client.action("set_conversation_id", access_token=token, surprise=token),
        await client.action("set_conversation_id", conversation_id=token, user_id=token),
        await client.action("set_conversation_id", language=token),
        await client.action(token),
        await client.action("user_text_message", text="", access_token=token),
    ]
    for kind, data in (
        ("client-message", {"t": token, "d": {"access_token": token}}),
        ("client-message", {"t": "action", "d": token}),
        ("send-text", {"access_token": token}),
        ("nonsense", {"access_token": token}),
    ):
        refused.append(await client.answer_to(client.send(kind, data)))
    assert {answer["type"] for answer in refused} == {"error-response"}
    # No RTVI, so that Pipecat itself logs it as an error; what comes next is answered after it.
    client.send_raw({"label": "rtvi-ai", "access_token": token})
    client.send_raw([token])


def written_by(bot: BotProcess) -> dict[str, bytes]:
    """What is in the files that a bot has written, by name."""
    folder = bot.log.parent
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def secrets_in(tokens: Iterable[str]) -> set[bytes]:
    """The pieces of tokens that would give one away, and what only they say."""
    pieces: set[str] = set()
    for token in tokens:
        head, body, signature = token.split(".")
        for part in (head, body, signature):
            # Any 17 characters in a row hold one of these whole.
            pieces |= {part[at : at + 12] for at in range(0, len(part) - 12, 6)}
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        pieces |= {claims["email"], claims["session_id"]}
    return {piece.encode() for piece in pieces}

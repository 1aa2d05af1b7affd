"""Calls whose callers prove who they are, and calls whose callers cannot."""

import asyncio
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from simulators.clients.auth_server import AuthServer, auth_server
from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import page
from sonora_app.actions.opener import MAX_REFUSALS
from sonora_app.errors import IdentityUnavailableError
from sonora_app.identity.signing_keys import SigningKeys, key_fetcher
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Conversation, utc_now, uuid7
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session


@pytest.fixture(scope="module")
def auth() -> Generator[AuthServer]:
    with auth_server() as server:
        yield server


@pytest.fixture(scope="module")
def bot(auth: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal that asks for tokens."""
    environment = {"SONORA_IDENTITY": "verified", "SUPABASE_URL": auth.url}
    with running_bot(tmp_path_factory.mktemp("verified"), **environment) as process:
        yield process


def code(answer: dict[str, Any]) -> str:
    assert answer["type"] == "error-response", answer
    return answer["data"]["code"]


def ready(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["type"] == "server-response", answer
    assert answer["data"]["d"]["status"] == "ready"
    return answer["data"]["d"]


async def kept_conversation(bot: BotProcess, user_id: str | None) -> str:
    """The id of a conversation that somebody had before, or nobody in particular."""
    now = utc_now()
    conversation = Conversation(id=uuid7(), user_id=user_id, created_at=now, updated_at=now)
    journal = await Journal.connect(bot.log.parent / "journal.db")
    try:
        await journal.write([conversation])
    finally:
        await journal.aclose()
    return str(conversation.id)


# --- Who gets in


async def test_a_user_comes_in_by_token_and_comes_back(bot: BotProcess, auth: AuthServer) -> None:
    ana = str(uuid4())
    async with page(bot.url) as client:
        await client.ready()
        first = ready(await client.action("set_conversation_id", access_token=auth.token(ana)))
        await client.event("node-changed", node="conversation")
    transcript = await transcript_of(bot, first["conversation_id"])
    assert transcript.conversation.user_id == ana
    assert transcript.transitions[0].arguments == {"cause": "message", "user_id": ana}

    body = {"conversation_id": first["conversation_id"], "access_token": auth.token(ana)}
    async with page(bot.url, body=body) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        assert (opened["conversation_id"], opened["resumed"]) == (first["conversation_id"], True)


async def test_berta_opens_nothing_of_anas_and_learns_nothing(
    bot: BotProcess, auth: AuthServer
) -> None:
    ana, berta = str(uuid4()), str(uuid4())
    anas, nobodys = await kept_conversation(bot, ana), await kept_conversation(bot, None)
    token = auth.token(berta)
    asked: list[dict[str, Any]] = [
        {"conversation_id": anas, "access_token": token},
        {"conversation_id": nobodys, "access_token": token},
        {"conversation_id": anas, "access_token": token, "user_id": ana},
        {"conversation_id": str(uuid4()), "access_token": token, "user_id": ana},
    ]
    async with page(bot.url) as client:
        await client.ready()
        answers = [await client.action("set_conversation_id", **claim) for claim in asked]
        assert {json.dumps(answer["data"]) for answer in answers} == {
            json.dumps(answers[0]["data"])
        }
        assert code(answers[0]) == "conversation_refused"
        claims = {"conversation_id": anas, "user_id": ana}
        assert code(await client.action("set_conversation_id", **claims)) == "token_required"
        assert not client.events("node-changed")
        # The call waits on, and may still open one of her own.
        assert not ready(await client.action("set_conversation_id", access_token=token))["resumed"]
    assert not (await transcript_of(bot, anas)).sessions
    assert (await transcript_of(bot, nobodys)).conversation.user_id is None


async def test_a_call_that_was_refused_too_often_opens_nothing(
    bot: BotProcess, auth: AuthServer
) -> None:
    ana = str(uuid4())
    anas, stale = await kept_conversation(bot, ana), auth.token(ana, lifetime_secs=-60)
    async with page(bot.url, body={"conversation_id": anas, "access_token": stale}) as client:
        await client.ready()
        assert (await client.event("notice"))["code"] == "token_refused"
        for _ in range(MAX_REFUSALS - 1):
            refusal = await client.action("set_conversation_id", access_token="made.up.token")
            assert code(refusal) == "token_refused"
        for token in (auth.token(ana), stale, None):
            refusal = await client.action("set_conversation_id", access_token=token)
            assert code(refusal) == "too_many_attempts"
        assert not client.events("node-changed")


async def test_the_start_request_beats_the_page(bot: BotProcess, auth: AuthServer) -> None:
    ana, berta = str(uuid4()), str(uuid4())
    bertas = await kept_conversation(bot, berta)
    body = {"conversation_id": str(uuid4()), "access_token": auth.token(ana)}
    async with page(bot.url, body=body) as client:
        # Before client-ready, while the request still waits to be acted on.
        other = {"conversation_id": bertas, "access_token": auth.token(berta)}
        assert code(await client.action("set_conversation_id", **other)) == "already_open"
        token = {"access_token": auth.token(berta)}
        opened = ready(await client.action("set_conversation_id", **token))
        assert opened["conversation_id"] == body["conversation_id"]
        await client.ready()
        await client.event("node-changed", node="conversation")
        assert code(await client.action("set_conversation_id", **token)) == "already_open"
    transcript = await transcript_of(bot, body["conversation_id"])
    assert transcript.conversation.user_id == ana
    assert len(transcript.sessions) == 1


async def test_speech_before_the_id_a_broken_id_and_an_id_sent_twice(
    bot: BotProcess, auth: AuthServer
) -> None:
    ana = str(uuid4())
    token = auth.token(ana)
    async with page(bot.url) as client:
        await client.ready()
        assert code(await client.answer_to(client.type_text("¿Hay alguien?"))) == "not_ready"
        client.microphone.say(await speech("Quiero planear un viaje."))
        assert (await client.event("notice"))["code"] == "not_ready"
        await client.microphone.said()
        await asyncio.sleep(1.5)
        broken = {"conversation_id": "'; drop table messages; --", "access_token": token}
        assert code(await client.action("set_conversation_id", **broken)) == "invalid_message"
        opened = ready(await client.action("set_conversation_id", access_token=token))
        again = {"conversation_id": opened["conversation_id"], "access_token": token}
        repeated = ready(await client.action("set_conversation_id", **again))
        assert {**repeated, "node": opened["node"]} == opened
        await client.event("message-recorded", seq=1)
    transcript = await transcript_of(bot, opened["conversation_id"])
    assert [message.role for message in transcript.messages] == ["assistant"]
    assert [step.trigger for step in transcript.transitions].count("set_conversation_id") == 1


@pytest.mark.slow
async def test_a_token_that_expires_in_mid_call_ends_nothing(
    bot: BotProcess, auth: AuthServer
) -> None:
    ana = str(uuid4())
    async with page(bot.url) as client:
        await client.ready()
        # Ten seconds of difference between clocks are allowed, and five of them used up.
        token = auth.token(ana, lifetime_secs=-5)
        expired_at = time.monotonic() + 5.5
        opened = ready(await client.action("set_conversation_id", access_token=token))
        await client.event("node-changed", node="conversation")
        await client.silence(0.6)
        await asyncio.sleep(max(0.0, expired_at - time.monotonic()))
        client.type_text("Sigo aquí.")
        await client.event("message-recorded", seq=3)
        again = ready(await client.action("set_conversation_id", access_token=token))
        assert again["conversation_id"] == opened["conversation_id"]
    async with page(bot.url) as client:
        await client.ready()
        refusal = await client.action("set_conversation_id", access_token=token)
        assert code(refusal) == "token_refused"


# --- The keys


@pytest.mark.slow
async def test_without_its_keys_a_call_is_told_to_try_again(tmp_path: Path) -> None:
    ana = str(uuid4())
    with auth_server() as auth:
        auth.behaviour = 503
        environment = {"SONORA_IDENTITY": "verified", "SUPABASE_URL": auth.url}
        with running_bot(tmp_path, **environment) as bot:
            body = {"access_token": auth.token(ana)}
            async with page(bot.url, body=body) as client:
                await client.ready()
                assert (await client.event("notice"))["code"] == "identity_unavailable"
                for _ in range(MAX_REFUSALS + 1):
                    refusal = await client.action("set_conversation_id", **body)
                    assert code(refusal) == "identity_unavailable"
                auth.behaviour = "serve"
                await asyncio.sleep(1.1)
                ready(await client.action("set_conversation_id", **body))
            assert set(auth.requests) == {"/auth/v1/.well-known/jwks.json"}
            assert len(auth.requests) < MAX_REFUSALS


@pytest.mark.slow
async def test_on_ones_own_machine_too_nobody_is_let_in_unproven(tmp_path: Path) -> None:
    with (
        auth_server() as auth,
        running_bot(
            tmp_path,
            SONORA_IDENTITY="verified",
            SUPABASE_URL=auth.url,
            SONORA_WAITING_SECS="1",
        ) as bot,
    ):
        async with page(bot.url) as client:
            await client.ready()
            ended = await client.event("conversation-ended", timeout_secs=30)
            assert ended["reason"] == "no_conversation"
            assert not client.events("conversation-opened")


@pytest.mark.parametrize("behaviour", [404, 500, "garbage", "huge", "redirect", "stall", "drip"])
async def test_keys_that_do_not_come_hold_nobody_up(behaviour: str | int) -> None:
    with auth_server() as auth:
        auth.behaviour = behaviour
        waiting = Waiting()
        with pytest.raises(IdentityUnavailableError):
            await SigningKeys(key_fetcher(auth.auth_url)).find(auth.key_id)
        assert waiting.secs() < 5
        assert len(auth.requests) == 1


async def test_an_auth_server_that_is_not_there() -> None:
    with auth_server() as auth:
        gone = auth.auth_url
    with pytest.raises(IdentityUnavailableError):
        await SigningKeys(key_fetcher(gone)).find("any")

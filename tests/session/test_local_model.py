"""A whole call with a weak model on this machine: it only talks, and the call comes to its end."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from simulators.clients.bot_process import running_bot
from simulators.clients.webrtc import page
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session

ES = Lines(Language.ES)
MODEL = "qwen2.5:1.5b"
ANSWER = "Oaxaca es preciosa en abril."
SUMMED_UP = "Hablamos de Oaxaca. ¿Algo más?"


def weak(request: ChatRequest) -> Reply:
    """Talks whatever it is asked, in lists of JSON or not, and calls nothing."""
    return Reply(ANSWER if "wrap_up" in request.tools else SUMMED_UP)


async def test_a_call_with_a_weak_model_goes_from_greeting_to_farewell(tmp_path: Path) -> None:
    server = OpenAIVendor()
    server.models, server.model = [MODEL], weak
    async with server.serving():
        with running_bot(tmp_path, OPENAI_BASE_URL=server.url, OPENAI_MODEL=MODEL) as bot:
            async with page(bot.url) as client:
                await client.ready()
                opened = await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
                opened_id = opened["data"]["d"]["conversation_id"]
                await client.event("node-changed", node="conversation", timeout_secs=30)
                client.type_text("Quiero planear un viaje a Oaxaca.")
                await client.event("message-recorded", seq=3, timeout_secs=20)
                client.type_text("¿Y en mayo?")
                await client.event("message-recorded", seq=5, timeout_secs=20)
                client.type_text("Gracias, chau.")
                await client.event("node-changed", node="wrap_up", timeout_secs=20)
                await client.event("message-recorded", seq=7, timeout_secs=20)
                client.type_text("No, gracias.")
                await client.event("conversation-ended", reason="goodbye", timeout_secs=30)
            async with asyncio.timeout(20):
                while not (transcript := await transcript_of(bot, opened_id)).conversation.title:
                    await asyncio.sleep(0.2)

    said = [one.content for one in transcript.messages]
    assert said == [
        ES.text("greeting.new"),
        "Quiero planear un viaje a Oaxaca.",
        ANSWER,
        "¿Y en mayo?",
        ANSWER,
        "Gracias, chau.",
        SUMMED_UP,
        "No, gracias.",
        ES.text("farewell.goodbye"),
    ]
    assert transcript.conversation.title == "Planear un viaje a Oaxaca"
    assert (
        transcript.conversation.summary == "La persona habló de: planear un viaje a Oaxaca y mayo."
    )
    assert [move.trigger for move in transcript.transitions][-2:] == ["wrap_up", "say_goodbye"]
    played: Any = transcript.messages[2].metadata
    assert (played["local"], played["stand_ins"]) == (["llm"], ["tts"])
    assert transcript.conversation.metadata["local"] == ["llm"]

    # What the model reads while it greets is what its first request begins with.
    ahead, first = server.bodies[:2]
    assert (ahead["max_tokens"], ahead["stream"], first["stream"]) == (1, False, True)
    begins_with(first, ahead)
    # And each request of a step begins with the one before it.
    asked = [body for body in server.bodies if body["stream"]]
    steps = [body for body in asked if body["tools"] == first["tools"]]
    assert len(steps) == 3
    for before, after in pairwise(steps):
        begins_with(after, before)


def begins_with(request: Any, earlier: Any) -> None:
    """A server that has read `earlier` reads of `request` only what is new at its end."""
    assert request["tools"] == earlier["tools"]
    assert _as_text(request).startswith(_as_text(earlier))


def _as_text(request: Any) -> str:
    return "\n".join(f"{each['role']} {each['content']}" for each in request["messages"])

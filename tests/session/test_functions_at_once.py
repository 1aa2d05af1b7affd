"""Functions that the model calls in one answer are answered once."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from simulators.vendors.odd_answers import call, ending
from simulators.vendors.openai import ChatRequest, Reply
from tests.session.failing_vendors import FailingVendors
from tests.session.failure_calls import failing_bot
from tests.session.failure_cases import At, Case, How, When

pytestmark = pytest.mark.session

SAID = "Apúntalo, y olvida lo del café."
ANSWER = "Claro que sí, por supuesto."
CALLS = [
    call("remember", '{"fact": "Le gusta el té."}', id="first", index=0),
    call("forget", '{"about": "el café"}', id="second", index=1),
    ending("tool_calls"),
]


async def test_two_functions_of_one_answer_are_answered_once(tmp_path: Path) -> None:
    vendors = FailingVendors(Case(At.OPENAI, How.NULLS, When.TURN, ()))
    requests: list[ChatRequest] = []

    def model(request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return Reply("{}")
        requests.append(request)
        return Reply(chunks=CALLS) if len(requests) == 1 else Reply(ANSWER)

    with failing_bot(tmp_path) as bot:
        async with vendors.serving():
            await _hold(bot, vendors, model)
    assert len(requests) == 2
    told = [one["tool_call_id"] for one in requests[1].messages if one["role"] == "tool"]
    assert told == ["first", "second"]


async def _hold(
    bot: BotProcess, vendors: FailingVendors, model: Callable[[ChatRequest], Reply]
) -> None:
    async with page(bot.url, body={"settings": vendors.settings()}) as client:
        await client.ready()
        await client.action("set_conversation_id", user_id=f"user-{uuid4()}", language="es")
        await client.event("message-recorded", seq=1, timeout_secs=30)
        vendors.openai.model = model
        client.type_text(SAID)
        await client.event("message-recorded", seq=3)
        await client.silence(1.0)

"""No answer, however odd, leaves a call silent, stuck or unrecorded.

The answers are put together at random. Each is given in a call of its own to a real bot whose
vendors are servers on loopback.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from simulators.vendors.openai import ChatRequest, Reply
from tests.session.conftest import transcript_of
from tests.session.failing_vendors import FailingVendors
from tests.session.failure_calls import failing_bot
from tests.session.failure_cases import At, Case, How, When
from tests.unit.test_answers import ANY_ANSWER

pytestmark = [pytest.mark.session, pytest.mark.slow]

TYPED, AGAIN = "Cuéntame de Oaxaca.", "¿Y en abril?"
ANSWER = "Claro que sí."
ANSWER_SECS = 15.0
"""Beside other calls: two attempts, two steps and an apology."""
EXAMPLES = 12


async def test_no_stream_leaves_a_call_silent_stuck_or_unrecorded(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with failing_bot(tmp_path) as bot:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(ANY_ANSWER)
        def any_stream(chunks: list[Any]) -> None:
            call = asyncio.run_coroutine_threadsafe(_hold(bot, chunks), loop)
            call.result(90)

        await asyncio.to_thread(any_stream)


async def _hold(bot: BotProcess, chunks: list[Any]) -> None:
    vendors = FailingVendors(Case(At.OPENAI, How.NULLS, When.TURN, ()))
    async with vendors.serving():
        async with page(bot.url, body={"settings": vendors.settings()}) as client:
            await client.ready()
            opened = await client.action(
                "set_conversation_id", user_id=f"user-{uuid4()}", language="es"
            )
            await client.event("message-recorded", seq=1, timeout_secs=30)

            def odd(request: ChatRequest) -> Reply:
                return Reply(chunks=chunks) if request.body["stream"] else Reply("{}")

            vendors.openai.model = odd
            client.type_text(TYPED)
            await client.event("message-recorded", seq=3, timeout_secs=ANSWER_SECS)
            vendors.openai.model = lambda _: Reply(ANSWER)
            client.type_text(AGAIN)
            # What was asked for in vain is told first, if it is told just now.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECS):
                    while ANSWER not in (client.events("message-recorded")[-1]["content"] or ""):
                        await asyncio.sleep(0.05)
            assert not client.events("conversation-ended")
        conversation_id = opened["data"]["d"]["conversation_id"]
        async with asyncio.timeout(30):
            while f"conversation {conversation_id} is closed" not in bot.logged():
                await asyncio.sleep(0.1)
    transcript = await transcript_of(bot, conversation_id)
    said_by = [(message.role, message.content) for message in transcript.messages]
    assert said_by[1] == ("user", TYPED)
    assert said_by[2][0] == "assistant"
    assert ("user", AGAIN) in said_by
    assert any(ANSWER in (text or "") for role, text in said_by if role == "assistant"), said_by
    assert [message.seq for message in transcript.messages] == list(range(1, len(said_by) + 1))

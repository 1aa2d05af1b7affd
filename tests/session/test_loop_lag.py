"""Nothing of ours holds the event loop while people talk."""

import asyncio
import json
from pathlib import Path

import pytest

from simulators.clients.bot_process import running_bot
from simulators.clients.speech import speech
from simulators.clients.webrtc import page
from tests.session.monitored_bot import HELD, LATE_SECS

pytestmark = [pytest.mark.session, pytest.mark.slow, pytest.mark.alone]


async def test_no_code_of_ours_holds_the_loop(tmp_path: Path) -> None:
    stalls_file = tmp_path / "stalls.jsonl"
    with running_bot(
        tmp_path,
        program="tests/session/monitored_bot.py",
        SONORA_WAITING_SECS="60",
        SONORA_TEST_STALLS=str(stalls_file),
        SONORA_TEST_HOLD_MS="80",
    ) as bot:
        for _ in range(2):
            async with page(bot.url) as client:
                await client.ready()
                await client.action("set_conversation_id", user_id="ana")
                await client.event("node-changed", node="conversation")
                await client.silence(0.6)
                client.microphone.say(await speech("Quiero planear un viaje a Oaxaca en abril."))
                await client.microphone.said()
                await client.event("message-recorded", seq=3, role="assistant", timeout_secs=30)
                client.type_text("Eso es todo, adiós.")
                await client.event("node-changed", node="wrap_up")
                await client.silence(1.0)
                client.type_text("No, gracias.")
                await client.event("conversation-ended", timeout_secs=30)
                await asyncio.wait_for(client.closed.wait(), 30)
        bot.stop()

    stalls = [json.loads(line) for line in stalls_file.read_text("utf-8").splitlines()]
    for stall in stalls:
        ours = {name: ms for name, ms in stall["ms"].items() if name.startswith("sonora")}
        assert sum(ours.values()) < LATE_SECS * 1000, stall
    assert any(stall["ms"].get(HELD, 0.0) > 40 for stall in stalls), stalls

"""A person is erased while a call of theirs goes on, or while what was said in it is summed up."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.clients.bot_process import PROJECT
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply
from tests.session.talking import bot_with_keys, guide, serving_vendors

pytestmark = [pytest.mark.session, pytest.mark.slow]

ANA, EVA = "ana-quokka", "eva-wombat"
SUMMARY_SECS = 4.0


async def opened(client: Page, user_id: str) -> None:
    await client.ready()
    await client.action("set_conversation_id", user_id=user_id)
    client.type_text(f"Soy {user_id}.")
    await client.event("message-recorded", role="user", timeout_secs=30)


async def erase(data: Path, user_id: str) -> dict[str, Any]:
    """Run the command as whoever looks after the machine does, in a process of its own."""
    finished = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "sonora_app.cli", "users", "erase", user_id, "--yes", "--json"],
        env={"ENV": "local", "SONORA_DATA_DIR": str(data), "PYTHONPATH": str(PROJECT)},
        cwd=data,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def readable(data: Path, mark: str) -> list[str]:
    return [
        file.name
        for file in data.rglob("*")
        if file.is_file() and mark.encode() in file.read_bytes()
    ]


async def test_her_call_is_ended_first_and_nothing_of_it_comes_afterwards(tmp_path: Path) -> None:
    def sums_up_late(request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return Reply('{"summary": "quokka", "title": "quokka"}', first_token_secs=SUMMARY_SECS)
        return guide(request)

    async with serving_vendors() as vendors:
        vendors.openai.model = sums_up_late
        with bot_with_keys(tmp_path, vendors, SONORA_SUMMARY_SECS="30") as bot:
            data = bot.log.parent
            async with page(bot.url) as hers, page(bot.url) as anothers:
                async with page(bot.url) as earlier:
                    await opened(earlier, ANA)
                # That one is over, and its summary is being made.
                await opened(hers, ANA)
                await opened(anothers, EVA)
                erasing = asyncio.create_task(erase(data, ANA))
                told = await hers.event("conversation-ended", timeout_secs=15)
                receipt = await erasing
                assert told["reason"] == "erased"
                assert receipt["calls_ended"] == 1
                assert receipt["places"]["journal"]["conversations"] == 2
                await asyncio.sleep(SUMMARY_SECS)
                # The other's goes on.
                so_far = len(anothers.messages)
                anothers.type_text("Sigo aquí.")
                await anothers.event("message-recorded", role="user", after=so_far, timeout_secs=30)
            assert readable(data, "quokka") == []
            assert readable(data, EVA)

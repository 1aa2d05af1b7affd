"""A person is erased while a call of theirs goes on, or while what was said in it is summed up."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply
from sonora_app.cli import app
from tests.session.talking import bot_with_keys, guide, serving_vendors

pytestmark = [pytest.mark.session, pytest.mark.slow]

ANA, EVA = "ana-quokka", "eva-wombat"
FACT = {"fact": "Es un quokka.", "said_in": 1, "until": "", "replaces": 0, "name": ""}
TOLD = {"title": "quokka", "summary": "quokka", "topics": ["quokka"], "outcome": "informational"}
TOLD |= {"facts": [FACT], "ended": []}
"""What the request after a call is answered."""


async def opened(client: Page, user_id: str) -> None:
    await client.ready()
    await client.action("set_conversation_id", user_id=user_id)
    client.type_text(f"Soy {user_id}.")
    await client.event("message-recorded", role="user", timeout_secs=30)


async def erase(user_id: str) -> dict[str, Any]:
    """Run the command as whoever looks after the machine does: not in the bot's process."""
    command = ["users", "erase", user_id, "--yes", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def calls_going_on(data: Path) -> int:
    with closing(sqlite3.connect(data / "journal.db")) as journal:
        return journal.execute("SELECT count(*) FROM sessions WHERE ended_at IS NULL").fetchone()[0]


def readable(data: Path, mark: str) -> list[str]:
    return [
        file.name
        for file in data.rglob("*")
        if file.is_file() and mark.encode() in file.read_bytes()
    ]


async def test_her_call_is_ended_first_and_nothing_of_it_comes_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums_up = asyncio.Event()

    def sums_up_late(request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return Reply(json.dumps(TOLD), held=sums_up)
        return guide(request)

    async with serving_vendors() as vendors:
        vendors.openai.model = sums_up_late
        with bot_with_keys(tmp_path, vendors, SONORA_SUMMARY_SECS="30") as bot:
            data = bot.log.parent
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("ENV", "local")
            monkeypatch.setenv("SONORA_DATA_DIR", str(data))
            async with page(bot.url) as hers, page(bot.url) as anothers:
                await opened(hers, ANA)
                await opened(anothers, EVA)
                async with page(bot.url) as earlier:
                    await opened(earlier, ANA)
                # That one is over, and its summary is being made.
                async with asyncio.timeout(30):
                    while calls_going_on(data) > 2:
                        await asyncio.sleep(0.05)
                erasing = asyncio.create_task(erase(ANA))
                told = await hers.event("conversation-ended")
                receipt = await erasing
                assert told["reason"] == "erased"
                assert receipt["calls_ended"] == 1
                assert receipt["places"]["journal"]["conversations"] == 2
                # What the model makes of it comes when all is erased, and is not kept.
                answered = len(vendors.openai.log.of("answered"))
                sums_up.set()
                await vendors.openai.log.wait_for("answered", answered + 1)
                await asyncio.sleep(1)
                # The other's goes on.
                so_far = len(anothers.messages)
                anothers.type_text("Sigo aquí.")
                await anothers.event("message-recorded", role="user", after=so_far, timeout_secs=30)
            assert readable(data, "quokka") == []
            assert readable(data, EVA)

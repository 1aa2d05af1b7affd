"""Callers of a process that has only begun, or has just become warm."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from simulators.clients.bot_process import PROJECT, BotProcess, running_bot
from simulators.clients.webrtc import page
from tests.session.talking import bot_with_keys, serving_vendors

pytestmark = [pytest.mark.session, pytest.mark.slow]

SAYS = "IMPORTED "
"""What `importing_bot.py` writes before the modules that a call has imported."""


@pytest.fixture
def cold_bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot whose port is open, and no more."""
    with running_bot(tmp_path_factory.mktemp("cold"), warm=False) as process:
        yield process


async def test_who_comes_first_sees_the_page_at_once_and_has_a_whole_call(
    cold_bot: BotProcess,
) -> None:
    async def call() -> tuple[str, str]:
        async with page(cold_bot.url) as client:
            await client.ready()
            opened = await client.action("set_conversation_id", user_id=f"u{uuid4()}")
            greeted = await client.event("message-recorded", seq=1, timeout_secs=30)
            return opened["data"]["d"]["status"], greeted["role"]

    calling = asyncio.create_task(call())
    async with httpx.AsyncClient(base_url=cold_bot.url) as http:
        for path in ("/", "/sonora/static/console.js", "/status"):
            assert (await http.get(path)).status_code == 200
        assert not calling.done()
        # Built behind the port, too, and for the page alone.
        assert (await http.get("/sonora/api/flow", timeout=60)).status_code == 200
    assert await calling == ("ready", "assistant")


async def test_a_second_bot_on_the_same_port_says_so_and_does_not_claim_to_be_ready(
    cold_bot: BotProcess,
) -> None:
    command = [sys.executable, "bot.py", "--port", str(cold_bot.port)]
    environment = {**os.environ, "ENV": "local", "LC_ALL": "es_MX.UTF-8"}
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=PROJECT, env=environment, capture_output=True, text=True
    )

    assert ran.returncode == 1
    assert f"El puerto {cold_bot.port} está ocupado" in ran.stderr
    assert f"uv run bot.py --port {cold_bot.port + 1}" in ran.stderr
    assert "ready" not in ran.stdout + ran.stderr


async def test_a_bot_that_cannot_keep_anything_says_so_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        command = [sys.executable, "bot.py", "--port", str(free.getsockname()[1])]
    environment = {
        **os.environ,
        "ENV": "local",
        "LC_ALL": "en_US.UTF-8",
        "SONORA_DATA_DIR": str(tmp_path / "file" / "data"),
    }
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=PROJECT, env=environment, capture_output=True, text=True
    )

    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last.startswith(f"The journal's folder {tmp_path / 'file' / 'data'} cannot be used: ")
    assert "Traceback" not in ran.stderr
    assert "startup failed" not in ran.stderr


async def test_the_first_call_of_a_process_imports_nothing(tmp_path: Path) -> None:
    program = "tests/session/importing_bot.py"
    async with serving_vendors() as vendors:
        with bot_with_keys(tmp_path, vendors, program=program) as bot:
            async with page(bot.url) as client:
                await client.ready()
                await client.action("set_conversation_id", user_id=f"u{uuid4()}")
                await client.event("message-recorded", seq=1, timeout_secs=30)
                client.type_text("¿Qué hay que ver en Oaxaca?")
                await client.event("message-recorded", seq=3, timeout_secs=30)
            async with asyncio.timeout(30):
                while not (said := [line for line in bot.logged().splitlines() if SAYS in line]):
                    await asyncio.sleep(0.1)
    assert [json.loads(line.partition(SAYS)[2]) for line in said] == [[]]

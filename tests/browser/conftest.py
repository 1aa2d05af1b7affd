"""What the browser tests share: a bot in rehearsal, and a browser with a Spanish microphone."""

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.bot_process import PROJECT, BotProcess, running_bot
from simulators.clients.browser import running_chromium
from simulators.clients.visit import write_microphone

# What is waited for comes at the pace of speech, on a machine that does other things too.
expect.set_options(timeout=30_000)

ARTIFACTS = Path(os.environ.get("SONORA_ARTIFACTS") or PROJECT / "artifacts") / "console"
"""Where pictures go."""
CONSOLE = PROJECT / "sonora_app" / "console"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal, as `bot.py --local` starts it."""
    folder = tmp_path_factory.mktemp("bot")
    with running_bot(
        folder,
        SONORA_WAITING_SECS="60",
        SONORA_RECORDING="True",
        SONORA_CHANGE_LANGUAGE="True",
    ) as process:
        yield process


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[Browser]:
    """A browser whose microphone says the same sentence over and over."""
    said = await write_microphone(tmp_path / "said.wav", "Quiero planear un viaje a Oaxaca.")
    async with running_chromium(said) as chromium:
        yield chromium


def address(bot: BotProcess) -> str:
    """Where a person opens the console."""
    return f"http://localhost:{bot.port}/"

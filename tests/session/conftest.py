"""What the session tests share: one running bot per test module, and reading its journal."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.store import Transcript


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal that greets in each call, and leaves a test time to be slow."""
    environment = {"SONORA_WAITING_SECS": "60", "SONORA_RETURN_SECS": "0"}
    with running_bot(tmp_path_factory.mktemp("bot"), **environment) as process:
        yield process


@asynccontextmanager
async def journal_of(bot: BotProcess) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(bot.log.parent / "journal.db", read_only=True)
    try:
        yield journal
    finally:
        await journal.aclose()


async def transcript_of(bot: BotProcess, conversation_id: str | UUID) -> Transcript:
    async with journal_of(bot) as journal:
        transcript = await journal.transcript(UUID(str(conversation_id)))
    assert transcript is not None
    return transcript


def data_dir(bot: BotProcess) -> Path:
    return bot.log.parent

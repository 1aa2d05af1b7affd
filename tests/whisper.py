"""A bot that recognises what is said on this machine, with a real model."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from simulators.clients.bot_process import BotProcess, running_bot


@contextmanager
def recognising_bot(data_dir: Path, model: Path, **environment: str) -> Generator[BotProcess]:
    """A bot in rehearsal that recognises speech by `model`, once it can."""
    environment |= {"SONORA_STT": "whisper", "SONORA_WHISPER_MODEL": str(model)}
    with running_bot(data_dir, **environment) as bot:
        deadline = time.monotonic() + 60
        while "What is said is recognised" not in bot.logged() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield bot

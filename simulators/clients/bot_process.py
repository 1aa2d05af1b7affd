"""A bot in a process of its own, started as README says, on a free port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from simulators.vendors.port import ReservedPort

PROJECT = Path(__file__).resolve().parents[2]
_OUR_DEPRECATIONS = re.compile(
    rf"^{re.escape(str(PROJECT))}/(?:bot\.py|flows/|sonora_app/).*DeprecationWarning.*$",
    re.MULTILINE,
)
_CLEARED = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")


class BotProcess:
    """A running bot.

    Attributes:
        serving_after_secs: From its start until it answered, in seconds.
        warm_after_secs: From its start until a call was let in, in seconds; 0 where nobody waited.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.serving_after_secs = 0.0
        self.warm_after_secs = 0.0
        self._started_at = time.monotonic()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_serving(self, *, timeout_secs: float = 180.0) -> None:
        # One client for all: making one costs as much as many requests.
        with httpx.Client(timeout=1) as client:
            while time.monotonic() - self._started_at < timeout_secs:
                if self.process.poll() is not None:
                    raise RuntimeError(f"the bot exited:\n{self.logged()}")
                try:
                    if client.get(f"{self.url}/status").status_code == 200:
                        self.serving_after_secs = time.monotonic() - self._started_at
                        return
                except httpx.HTTPError:
                    pass
                time.sleep(0.02)
        raise RuntimeError(f"the bot does not serve:\n{self.logged()}")

    def wait_until_warm(self, *, timeout_secs: float = 180.0) -> None:
        """Ask for a session, as a caller does first; nothing is begun by it."""
        httpx.post(f"{self.url}/start", json={"transport": "webrtc"}, timeout=timeout_secs)
        self.warm_after_secs = time.monotonic() - self._started_at

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str],
    cwd: Path,
    warm: bool = True,
    port: int | None = None,
) -> Generator[BotProcess]:
    """Start a program on Pipecat's development runner, wait for it, and stop it at last.

    Args:
        command: What to run; the runner's flags for a port of loopback are added.
        folder: Its log goes there.
        env: Its whole environment.
        cwd: Its working folder.
        warm: Whether to wait until it takes calls, or only until it serves.
        port: Where it serves; None is anywhere that is free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The program takes seconds to open its port: until then nobody else may have it.
    with ReservedPort(port or 0) as reserved:
        log = folder / f"bot-{reserved.number}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(reserved.number)],
                cwd=cwd,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        bot = BotProcess(process, reserved.number, log)
        try:
            bot.wait_until_serving()
            if warm:
                bot.wait_until_warm()
            yield bot
        finally:
            bot.stop()


@contextmanager
def running_bot(
    data_dir: Path,
    *,
    program: str = "bot.py",
    warm: bool = True,
    port: int | None = None,
    **environment: str,
) -> Generator[BotProcess]:
    """Start a bot in rehearsal, wait for it, and stop it in the end.

    Args:
        data_dir: The folder of its journal; its log goes there too.
        program: What to run.
        warm: Whether to wait until it takes calls, or only until it serves.
        port: Where it serves; None is anywhere that is free.
        **environment: Settings, by the names of their environment variables.
    """
    env = {name: value for name, value in os.environ.items() if name not in _CLEARED}
    # Deprecated calls of ours end up in the log, where `running_bot` finds them.
    env |= {"PYTHONWARNINGS": "default::DeprecationWarning"}
    env |= {"SONORA_DATA_DIR": str(data_dir), "ENV": "local", **environment}
    command = [sys.executable, program, "--local"]
    with serving(command, data_dir, env=env, cwd=PROJECT, warm=warm, port=port) as bot:
        yield bot
    deprecated = _OUR_DEPRECATIONS.findall(bot.logged())
    assert not deprecated, deprecated

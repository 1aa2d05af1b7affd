"""The bots: how each is started, and how a client gets it to talk."""

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from benchmarks.ending import started
from benchmarks.scaffold import make_scaffold
from benchmarks.vendors import KEY, Vendors
from simulators.clients.bot_process import PROJECT, BotProcess, serving
from simulators.clients.rtvi import RtviClient

_PREFIXES = ("SONORA_", "SUPABASE_", "DEEPGRAM_", "OPENAI_", "CARTESIA_")
"""Settings of the machine's own that would reach the bots."""

KEYS = {name: KEY for name in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")}

_REPLIED_SECS = 10.0
SETTLED_SECS = 0.7
"""Silence after which a bot has finished what it was saying."""


class Contender(ABC):
    """A bot to measure.

    Args:
        folder: Its working folder.

    Attributes:
        folder: Its working folder.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        """Set up; `running` starts it."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        return sys.executable

    @property
    @abstractmethod
    def bot_file(self) -> Path:
        """The module that the runner calls."""

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    @abstractmethod
    def environment(self, vendors: Vendors) -> dict[str, str]:
        """Its settings, for these vendors."""

    @abstractmethod
    async def open(self, page: RtviClient) -> float:
        """Have it greet a connected client; returns when it was asked to, in monotonic seconds."""

    async def join(self, page: RtviClient) -> float:
        """Have it greet, and hear the greeting out; returns seconds to its first sound."""
        asked_at = await self.open(page)
        heard_at = await page.sound(since=asked_at, timeout_secs=_REPLIED_SECS)
        await page.silence(SETTLED_SECS)
        return heard_at - asked_at

    @asynccontextmanager
    async def running(
        self, vendors: Vendors, *, command: Sequence[str] | None = None, **settings: str
    ) -> AsyncGenerator[BotProcess]:
        """Run it until the block ends.

        Args:
            vendors: Whom it talks to.
            command: What to run in place of `command`.
            **settings: More of its environment.
        """
        async with self._served({**self.environment(vendors), **settings}, command) as bot:
            yield bot

    @asynccontextmanager
    async def _served(
        self, env: Mapping[str, str], command: Sequence[str] | None = None
    ) -> AsyncGenerator[BotProcess]:
        process = serving(
            command or self.command,
            self.folder,
            env={**clean_environment(), **env},
            cwd=self.folder,
        )
        async with started(process) as bot:
            yield bot


class Sonora(Contender):
    """This project's bot.

    Args:
        folder: Its working folder, and its journal's.
        extra: More of its settings.
    """

    name = "Sonora"

    def __init__(self, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        """Set up; `running` starts it."""
        super().__init__(folder)
        self._extra = dict(extra or {})

    @property
    def bot_file(self) -> Path:
        """The one in this project."""
        return PROJECT / "bot.py"

    @property
    def command(self) -> list[str]:
        """As README says."""
        return [self.python, str(self.bot_file), "--local"]

    def environment(self, vendors: Vendors) -> dict[str, str]:
        """Every vendor by its address; time enough to open a conversation."""
        return {
            **KEYS,
            "ENV": "local",
            "DEEPGRAM_BASE_URL": vendors.deepgram.url,
            "OPENAI_BASE_URL": vendors.openai.url,
            "CARTESIA_BASE_URL": vendors.cartesia.url,
            "SONORA_DATA_DIR": str(self.folder),
            "SONORA_WAITING_SECS": "60",
            **self._extra,
        }

    @asynccontextmanager
    async def rehearsing(self, **settings: str) -> AsyncGenerator[BotProcess]:
        """Run it with stand-ins in place of all vendors until the block ends.

        Args:
            **settings: More of its environment.
        """
        env = {
            "ENV": "local",
            "SONORA_DATA_DIR": str(self.folder),
            "SONORA_WAITING_SECS": "60",
            **settings,
        }
        async with self._served(env) as bot:
            yield bot

    @property
    def has_database(self) -> bool:
        """Whether conversations are kept in Supabase, too."""
        return "SUPABASE_URL" in self._extra

    async def open(self, page: RtviClient) -> float:
        """Say client-ready, then `set_conversation_id`, which is what it is timed from."""
        asked_at, _ = await self.open_conversation(page, user_id=str(uuid4()))
        return asked_at

    async def open_conversation(
        self,
        page: RtviClient,
        *,
        user_id: str,
        conversation_id: str | None = None,
        recording: bool = False,
    ) -> tuple[float, str]:
        """Say client-ready, then name a conversation.

        Args:
            page: A connected client.
            user_id: Whose conversation it is.
            conversation_id: An earlier one to go on with.
            recording: Whether the person agrees to be recorded.

        Returns:
            When it was named, in monotonic seconds, and its id.

        Raises:
            RuntimeError: It was not opened.
        """
        await page.ready()
        asked_at = time.monotonic()
        # Earlier checkouts do not know of recordings.
        agreed = {"recording": True} if recording else {}
        answer = await page.action(
            "set_conversation_id", user_id=user_id, conversation_id=conversation_id, **agreed
        )
        if answer["type"] != "server-response":
            raise RuntimeError(f"the conversation was not opened: {answer['data']}")
        return asked_at, answer["data"]["d"]["conversation_id"]


class Checkout(Sonora):
    """Another checkout of this project, in its own environment if it has one, else in this one.

    Args:
        project: The checkout.
        folder: Its working folder, and its journal's.
        extra: More of its settings.
    """

    def __init__(self, project: Path, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        """Set up; `running` starts it."""
        super().__init__(folder, extra)
        self._project = project.resolve()
        self.name = _revision(self._project)

    @property
    def python(self) -> str:
        """Its environment's, where `uv sync` has made one."""
        own = self._project / ".venv" / "bin" / "python"
        return str(own) if own.exists() else super().python

    @property
    def bot_file(self) -> Path:
        """The one in that checkout."""
        return self._project / "bot.py"


class Scaffold(Contender):
    """What `pipecat init` makes."""

    name = "scaffold"

    def __init__(self, folder: Path) -> None:
        """Have it made."""
        super().__init__(folder)
        self._bot = make_scaffold(folder / "project")

    @property
    def bot_file(self) -> Path:
        """The one that the tool has made."""
        return self._bot

    @property
    def command(self) -> list[str]:
        """The launcher that points it at the vendors."""
        return [sys.executable, "-m", "benchmarks.scaffold", str(self._bot)]

    def environment(self, vendors: Vendors) -> dict[str, str]:
        """What the launcher and the scaffold's services read."""
        return {
            **KEYS,
            "PYTHONPATH": str(PROJECT),
            "DEEPGRAM_BASE_URL": vendors.deepgram.url,
            "OPENAI_BASE_URL": vendors.openai.url,
            "CARTESIA_URL": f"{vendors.cartesia.url}/tts/websocket",
        }

    async def open(self, page: RtviClient) -> float:
        """Say client-ready, to which it greets."""
        asked_at = time.monotonic()
        await page.ready()
        return asked_at


Rival = Callable[[Path], Contender]
"""Makes the bot that Sonora is measured beside, given a working folder for it."""


def rival(checkout: Path | None) -> Rival:
    """Whom to measure Sonora beside: another checkout, or by default the scaffold.

    Raises:
        FileNotFoundError: There is no bot in the checkout.
    """
    if checkout is None:
        return Scaffold
    if not (checkout / "bot.py").is_file():
        raise FileNotFoundError(f"there is no bot.py in {checkout}")
    return partial(Checkout, checkout)


def _revision(project: Path) -> str:
    """What a checkout is called in the report: its commit, or its folder's name."""
    found = subprocess.run(
        ["git", "-C", str(project), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or project.name


def clean_environment() -> dict[str, str]:
    """The environment, without settings that would reach the bots."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}


@asynccontextmanager
async def both_running(
    folder: Path, vendors: Vendors, beside: Rival = Scaffold
) -> AsyncGenerator[list[tuple[Contender, BotProcess]]]:
    """Run Sonora and its rival until the block ends, the rival first in the list.

    Args:
        folder: For what they write.
        vendors: Whom they talk to.
        beside: Makes the rival.
    """
    contenders = [beside(folder / "rival"), Sonora(folder / "sonora")]
    async with AsyncExitStack() as stack:
        yield [
            (contender, await stack.enter_async_context(contender.running(vendors)))
            for contender in contenders
        ]

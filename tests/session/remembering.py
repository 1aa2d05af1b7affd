"""Calls to a bot whose model is scripted on the wire: what is kept, told again and shown."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.typing_page import TypingPage, typing_page
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Memory, Record
from sonora_app.storage.store import Known, Recall, Transcript

Script = Mapping[str, "str | ToolCall | Callable[[ChatRequest], Reply]"]
"""What the model does, by what the user said last: says something, or calls a function."""

LANGUAGES = ("es", "en")
EVERYTHING = Recall(limit=1_000, past=True)
DONE = "Bien."
NOTHING_NEW: dict[str, Any] = {"facts": [], "ended": []}
DESCRIPTION = {
    "title": "Charla",
    "summary": "Charlaron.",
    "topics": ["charla"],
    "outcome": "resolved",
}

_FACT = re.compile(r"^\d+\. <quoted>(.+)</quoted>$", re.MULTILINE)
_BLOCK = re.compile(r"<facts>\n(.*?)\n</facts>", re.DOTALL)


def remember(fact: str, **more: Any) -> ToolCall:
    return ToolCall("remember", {"fact": fact, **more})


def forget(about: str, *numbers: int) -> ToolCall:
    return ToolCall("forget", {"about": about, "numbers": list(numbers)})


def allow(allowed: bool) -> ToolCall:
    return ToolCall("allow_memory", {"allowed": allowed})


def told(body: Mapping[str, Any]) -> list[str]:
    """The facts that the model was told in a request."""
    texts = [m["content"] for m in body["messages"] if m["role"] in ("developer", "system")]
    blocks = [b for text in texts if isinstance(text, str) for b in _BLOCK.findall(text)]
    return [fact for block in blocks for fact in _FACT.findall(block)]


@dataclass
class World:
    """A bot, its model, and the people who call it.

    Parameters:
        script: What the model does in calls.
        after: What the request after the next call answers of the person.
        describes: What it answers of the conversation.
    """

    bot: BotProcess
    vendor: OpenAIVendor
    script: dict[str, Any] = field(default_factory=dict[str, Any])
    after: dict[str, Any] = field(default_factory=lambda: dict(NOTHING_NEW))
    describes: dict[str, Any] = field(default_factory=lambda: dict(DESCRIPTION))

    def answer(self, request: ChatRequest) -> Reply:
        """The model: does what the script says, and says something after a function."""
        if not request.body.get("stream"):
            schema = request.body["response_format"]["json_schema"]["schema"]
            facts = self.after if "facts" in schema["properties"] else {}
            return Reply(json.dumps({**self.describes, **facts}, ensure_ascii=False))
        if request.messages[-1]["role"] == "tool":
            return Reply(DONE)
        does = self.script.get(request.last_said, DONE)
        if callable(does):
            return does(request)
        return Reply(calls=(does,)) if isinstance(does, ToolCall) else Reply(does)

    @asynccontextmanager
    async def journal(self) -> AsyncGenerator[Journal]:
        journal = await Journal.connect(self.bot.log.parent / "journal.db", read_only=True)
        try:
            yield journal
        finally:
            await journal.aclose()

    async def known(self, user: str, recall: Recall = EVERYTHING) -> Known:
        async with self.journal() as journal:
            return await journal.known(user, recall)

    async def rows(self, user: str) -> dict[str, Memory]:
        """What is remembered of somebody, what holds no more too, by its words."""
        return {memory.content: memory for memory in (await self.known(user)).memories}

    async def holds(self, user: str) -> list[str]:
        return sorted(m.content for m in (await self.known(user, Recall(limit=1_000))).memories)

    async def has(self, user: str, content: str) -> None:
        """Wait until something is written: the page is told first."""
        async with asyncio.timeout(30):
            while content not in await self.holds(user):
                await asyncio.sleep(0.05)

    async def transcript(self, conversation_id: str) -> Transcript:
        async with self.journal() as journal:
            transcript = await journal.transcript(UUID(conversation_id))
        assert transcript is not None
        return transcript

    @asynccontextmanager
    async def console(self) -> AsyncGenerator[httpx.AsyncClient]:
        """What the console's view of what is remembered asks."""
        where = f"http://localhost:{self.bot.port}/sonora/api"
        async with httpx.AsyncClient(base_url=where) as http:
            yield http

    async def write(self, *records: Record) -> None:
        """Write as another process of the same machine does."""
        journal = await Journal.connect(self.bot.log.parent / "journal.db")
        try:
            await journal.write(records)
        finally:
            await journal.aclose()

    @asynccontextmanager
    async def call(self, user: str, **arguments: str) -> AsyncGenerator["Call"]:
        """A call that ends with the block, and is kept by then."""
        async with self.talking(user, **arguments) as call:
            yield call
        await self.closed(call)

    @asynccontextmanager
    async def talking(self, user: str, **arguments: Any) -> AsyncGenerator["Call"]:
        """A call whose conversation is open."""
        async with typing_page(self.bot.url) as page:
            await page.ready()
            answer = await page.action("set_conversation_id", user_id=user, **arguments)
            assert answer["type"] == "server-response", answer
            yield Call(self, page, answer["data"]["d"]["conversation_id"])

    async def closed(self, call: "Call") -> None:
        """Wait until a call that was left is kept."""
        async with asyncio.timeout(60):
            while f"conversation {call.id} is closed" not in self.bot.logged():
                await asyncio.sleep(0.05)


@dataclass
class Call:
    """A call in which the user types."""

    world: World
    page: TypingPage
    id: str
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def says(self, text: str) -> None:
        """Type `text`, and wait until the model has said something to it."""
        before = len(self.page.messages)
        self.page.type_text(text, audio_response=False)
        await self.page.wait_for(
            lambda message: message["type"] == "bot-llm-stopped",
            after=before,
            timeout_secs=30,
        )
        # A function comes first, and what is said to its result then.
        async with asyncio.timeout(30):
            while not self._answered(text):
                await asyncio.sleep(0.02)

    def _answered(self, text: str) -> bool:
        bodies = [body for body in self.world.vendor.bodies if body["stream"]]
        last = bodies[-1]["messages"] if bodies else []
        users = [m["content"] for m in last if m["role"] == "user"]
        does = self.world.script.get(text)
        needs_result = isinstance(does, ToolCall)
        return (
            bool(users) and users[-1] == text and (not needs_result or last[-1]["role"] == "tool")
        )

    @property
    def told(self) -> list[str]:
        """The facts that the model was told last."""
        return told([body for body in self.world.vendor.bodies if body["stream"]][-1])

    @property
    def prompt(self) -> str:
        """All that the model was told last but what was said."""
        body = [body for body in self.world.vendor.bodies if body["stream"]][-1]
        told = [m["content"] for m in body["messages"] if m["role"] in ("developer", "system")]
        return "\n".join(text for text in told if isinstance(text, str))

    async def replies(self, text: str) -> str:
        """Type `text`, and give what the bot answers."""
        before = len(self.page.messages)
        self.page.type_text(text, audio_response=False)

        def said(until: dict[str, Any]) -> str:
            since = self.page.messages[before:]
            texts = since[: next(n for n, each in enumerate(since) if each is until)]
            return "".join(m["data"]["text"] for m in texts if m["type"] == "bot-llm-text")

        # A function comes before what is said to its result.
        last = await self.page.wait_for(
            lambda message: message["type"] == "bot-llm-stopped" and said(message) != "",
            after=before,
            timeout_secs=30,
        )
        return said(last)

    async def greeting(self) -> str:
        """What the bot greets with, which is shown before it is said."""
        message = await self.page.wait_for(lambda m: m["type"] == "bot-output")
        return message["data"]["text"]

    async def result(self) -> dict[str, Any]:
        """What the function that the model called last answered."""
        body = [body for body in self.world.vendor.bodies if body["stream"]][-1]
        return json.loads([m["content"] for m in body["messages"] if m["role"] == "tool"][-1])

    async def action(self, action: str, **arguments: Any) -> dict[str, Any]:
        return await self.page.action(action, **arguments)

    async def kept(self, content: str) -> dict[str, Any]:
        """Wait until the page was told that this was kept."""
        message = await self.page.wait_for(
            lambda m: (
                m["type"] == "server-message"
                and m["data"].get("event") == "memory-kept"
                and m["data"]["memory"]["content"] == content
            )
        )
        return message["data"]

    async def answers(self, *, keeps: bool) -> None:
        """Wait until the call knows whether it may keep something."""
        async with asyncio.timeout(30):
            while (await self.action("list_memories"))["data"]["d"]["keeps"] is not keeps:
                await asyncio.sleep(0.05)

    async def ended(self, **fields: Any) -> dict[str, Any]:
        return await self.page.event("memory-ended", **fields)


def somebody() -> str:
    return f"user-{uuid4()}"


@contextmanager
def bot_with_model(
    data_dir: Path, vendor: OpenAIVendor, **environment: str
) -> Generator[BotProcess]:
    """A bot whose model is `vendor`, and whose ears and voice are stand-ins."""
    settings = {
        "OPENAI_API_KEY": vendor.key,
        "OPENAI_BASE_URL": vendor.url,
        "SONORA_LOG_LEVEL": "INFO",
        "SONORA_IDLE_SECS": "0",
        "SONORA_WAITING_SECS": "60",
    }
    with running_bot(data_dir, **{**settings, **environment}) as bot:
        yield bot

"""Calls of tools by the thousand, under faults: each is done at most once, none of them is lost.

    uv run python -m benchmarks.tool_storm --calls 1000 --seed 7

People type to a bot whose model calls tools of a service. The service is slow, answers badly,
breaks off or never answers. People cut in at every 50 ms after they asked, and hang up, and the
bot's process is killed. Afterwards the journal is compared with what the service did and what the
model was told.

What does not hold is printed, and the exit status is 1.
"""

import argparse
import asyncio
import json
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from loguru import logger

from benchmarks.contenders import clean_environment
from benchmarks.ending import end_by_signals, started
from simulators.clients.bot_process import PROJECT, BotProcess, serving
from simulators.clients.typing_page import TypingPage, typing_page
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.port import ReservedPort
from simulators.vendors.tool_api import Answer, Done, ToolApi
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.tool_calls import ToolStatus

LIMIT_SECS = 1.5
"""How long a tool may take."""

STEP_SECS = 0.05
"""People cut in at each multiple of this, in turn, until a little after the tool's time limit."""

_STEPS = 40
_TURNS = 8
_ANSWERED_SECS = 45.0
"""How long an answer may take: whether it comes is looked for, also on a machine that is busy."""

_HANGS_UP, _CUTS_IN, _KILLED = 0.15, 0.5, 0.25
_CODE = re.compile(r"\bK\d+\b")
_WANTED = re.compile(r"\b(Reserva|Busca) (K\d+)\b")
_DESCRIPTION: dict[str, Any] = {
    **{"title": "Códigos", "summary": "Códigos.", "topics": [], "outcome": "resolved"},
    **{"facts": [], "ended": []},
}
_TOOLS = f"""
tools:
  - name: book
    description: Book something by its code.
    parameters: &code
      type: object
      properties: {{code: {{type: string}}}}
      required: [code]
    request: {{method: POST, url: "${{TOOL_API}}/book/{{{{ code }}}}"}}
    answer: {{path: told}}
    time_limit_secs: {LIMIT_SECS}
  - name: find_it
    description: Look something up by its code.
    parameters: *code
    request: {{url: "${{TOOL_API}}/find_it/{{{{ code }}}}"}}
    answer: {{path: told}}
    time_limit_secs: {LIMIT_SECS}
"""


@dataclass(frozen=True)
class Fault:
    """What the service does with a request, and what may become of it.

    Parameters:
        answer: What it does with the first request.
        book: How a call ends that must not be repeated.
        find_it: How one ends that may be.
    """

    answer: Answer
    book: ToolStatus
    find_it: ToolStatus


_FAULTS = {
    "none": Fault(Answer(), ToolStatus.DONE, ToolStatus.DONE),
    "0.3 s": Fault(Answer(after_secs=0.3), ToolStatus.DONE, ToolStatus.DONE),
    "0.9 s": Fault(Answer(after_secs=0.9), ToolStatus.DONE, ToolStatus.DONE),
    "500": Fault(Answer(status=500), ToolStatus.UNKNOWN, ToolStatus.DONE),
    "503": Fault(Answer(status=503), ToolStatus.FAILED, ToolStatus.FAILED),
    "reset": Fault(Answer(resets=True), ToolStatus.UNKNOWN, ToolStatus.DONE),
    "hang": Fault(Answer(hangs=True), ToolStatus.UNKNOWN, ToolStatus.UNKNOWN),
    "slow body": Fault(Answer(drips=True, raw=b" " * 4_000), *[ToolStatus.UNKNOWN] * 2),
    "2 MB": Fault(Answer(raw=b'"' + b"x" * 2_000_000 + b'"'), *[ToolStatus.DONE] * 2),
    "bad JSON": Fault(Answer(raw=b'{"told": '), ToolStatus.DONE, ToolStatus.DONE),
}


@dataclass(frozen=True)
class Options:
    """How to storm.

    Parameters:
        calls: How many calls of tools are asked for, about.
        seed: What everything is drawn from.
        people: How many talk at a time.
        folder: For the journal and the log.
    """

    calls: int
    seed: int
    people: int
    folder: Path


@dataclass
class Report:
    """What came of it.

    Parameters:
        asked: How many calls of tools people asked for.
        done: How many requests the service did, by fault.
        cut_in: How often somebody cut in, hung up, or a bot was killed, by which.
        wrong: What does not hold, in words.
    """

    asked: int = 0
    done: Counter[str] = field(default_factory=Counter[str])
    cut_in: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def readable(self) -> str:
        """The report, for a terminal."""
        lines = [f"{self.asked} calls of tools asked for, {self.done.total()} requests"]
        lines += [f"  {name}: {number}" for name, number in sorted(self.done.items())]
        lines += [f"{name}: {number}" for name, number in sorted(self.cut_in.items())]
        lines += [f"WRONG: {each}" for each in self.wrong] or ["All of it holds."]
        return "\n".join(lines) + "\n"


class Storm:
    """One storm.

    Args:
        options: How.
    """

    def __init__(self, options: Options) -> None:
        """Set up; `run` storms."""
        self.report = Report()
        self._options = options
        self._chance = random.Random(options.seed)
        self._vendor = OpenAIVendor("sk-storm")
        self._vendor.model = self._model
        self._api = ToolApi()
        self._api.answer = self._answered
        self._faults: dict[str, str] = {}
        self._told: dict[str, set[str]] = {}
        self._calls: dict[str, set[str]] = {}
        self._steps = count()
        self._port = ReservedPort()

    def _wrong(self, what: str) -> None:
        logger.warning(what)
        self.report.wrong.append(what)

    # --- The other sides

    def _answered(self, done: Done) -> Answer:
        tool, code = done.path.removeprefix("/").split("/")
        before = sum(each.path == done.path for each in self._api.done) - 1
        name = self._faults[code]
        self.report.done[name] += 1
        answer = _FAULTS[name].answer
        broken = answer.resets or answer.status == 500
        if tool == "find_it" and before and broken:
            return Answer({"told": f"R-{code}"})
        return replace(answer, value={"told": f"R-{code}"})

    def _model(self, request: ChatRequest) -> Reply:
        if not request.body.get("stream"):
            return Reply(json.dumps(_DESCRIPTION))
        called = self._note_what_is_told(request.messages)
        wanted = {
            code: "book" if verb == "Reserva" else "find_it"
            for verb, code in _WANTED.findall(request.last_said)
            if code not in called
        }
        if wanted:
            return Reply(calls=tuple(ToolCall(tool, {"code": c}) for c, tool in wanted.items()))
        return Reply(f"Sobre {' y '.join(_CODE.findall(request.last_said))} : bien.")

    def _note_what_is_told(self, messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """Note what the model is told of each code; returns those that it has called tools for."""
        codes: dict[str, str] = {}
        for message in messages:
            for call in message.get("tool_calls") or ():
                codes[call["id"]] = _code_of(call["function"]["arguments"])
            content = str(message.get("content"))
            if message["role"] == "tool":
                status = _status_in(content)
                self._told.setdefault(codes[message["tool_call_id"]], set()).add(status)
            elif message["role"] == "developer" and _CODE.search(content):
                for part in content.splitlines() if "\n- " in content else [content]:
                    if found := _CODE.search(part):
                        self._told.setdefault(found[0], set()).add(_status_in(part))
        return set(codes.values())

    # --- The storm

    async def run(self) -> Report:
        """Storm until enough was asked for."""
        self._options.folder.mkdir(parents=True, exist_ok=True)
        (self._options.folder / "tools.yaml").write_text(_TOOLS, "utf-8")
        with self._port:
            async with self._vendor.serving(), self._api.serving():
                people = count()
                while self.report.asked < self._options.calls:
                    await self._wave(people)
                await self._check()
        return self.report

    async def _wave(self, people: Iterator[int]) -> None:
        """Some people talk at once with a process of the bot, which is killed in some waves."""
        killed = self._chance.random() < _KILLED
        async with started(self._bot()) as bot:
            talks = [
                asyncio.create_task(
                    self._talk(bot, next(people), random.Random(self._chance.random()))
                )
                for _ in range(self._options.people)
            ]
            if killed:
                await asyncio.sleep(self._chance.uniform(3.0, 8.0))
                self.report.cut_in["killed"] += 1
                await asyncio.to_thread(bot.kill)
                for talk in talks:
                    talk.cancel()
            for result in await asyncio.gather(*talks, return_exceptions=True):
                if isinstance(result, Exception) and not killed:
                    self._wrong(f"a call broke off: {result!r}")
        logger.info(f"{self.report.asked} calls of tools, {len(self.report.wrong)} wrong")
        if not self.report.asked:
            raise RuntimeError(f"nobody could talk: {self.report.wrong}")

    def _bot(self) -> AbstractContextManager[BotProcess]:
        env = {
            **clean_environment(),
            "ENV": "local",
            "OPENAI_API_KEY": self._vendor.key,
            "OPENAI_BASE_URL": self._vendor.url,
            "SONORA_DATA_DIR": str(self._options.folder),
            "SONORA_TOOLS_FILE": str(self._options.folder / "tools.yaml"),
            "SONORA_IDLE_SECS": "0",
            "SONORA_WAITING_SECS": "60",
            "SONORA_MAX_CALLS": "99",
            "TOOL_API": self._api.url,
        }
        command = [sys.executable, "bot.py", "--local"]
        return serving(command, self._options.folder, env=env, cwd=PROJECT, port=self._port.number)

    async def _talk(self, bot: BotProcess, number: int, chance: random.Random) -> None:
        """One person's call, and the next one where they hung up."""
        user, conversation, turns = f"person-{number}", None, _TURNS
        while turns:
            async with typing_page(bot.url) as page:
                await page.ready()
                opened = await page.action(
                    "set_conversation_id", user_id=user, conversation_id=conversation
                )
                if opened["type"] != "server-response":
                    raise RuntimeError(f"the conversation was not opened: {opened['data']}")
                conversation = opened["data"]["d"]["conversation_id"]
                self._calls.setdefault(conversation, set())
                while turns:
                    turns -= 1
                    if not await self._turn(page, conversation, chance):
                        break
                else:
                    await self._all_told(conversation)

    async def _turn(self, page: TypingPage, conversation: str, chance: random.Random) -> bool:
        """Ask for something; returns whether the person is still there."""
        code = f"K{self.report.asked}"
        self.report.asked += 1
        self._faults[code] = chance.choice(list(_FAULTS))
        self._calls[conversation].add(code)
        seen = len(page.messages)
        page.type_text(f"{chance.choice(('Reserva', 'Busca'))} {code}", audio_response=False)
        if chance.random() < _HANGS_UP:
            await asyncio.sleep(self._step("hung up"))
            return False
        if chance.random() < _CUTS_IN:
            await asyncio.sleep(self._step("cut in"))
            seen, code = len(page.messages), f"{code}0000"
            page.type_text(f"Espera, y {code}", audio_response=False)
        await self._answer(page, code, seen)
        return True

    def _step(self, what: str) -> float:
        self.report.cut_in[what] += 1
        return next(self._steps) % _STEPS * STEP_SECS

    async def _answer(self, page: TypingPage, code: str, seen: int) -> None:
        """Wait until the bot has answered; that it does not is noted."""
        until = time.monotonic() + _ANSWERED_SECS
        while code not in _CODE.findall(_said(page, seen)):
            if page.closed.is_set():
                raise ConnectionError("the bot is gone")
            if time.monotonic() > until:
                fault = self._faults.get(code, "cut in")
                self._wrong(f"{code} ({fault}) had no answer")
                return
            await asyncio.sleep(0.02)

    async def _all_told(self, conversation: str) -> None:
        """Wait until the model was told what came of all that was done in a call, or noted."""
        until = time.monotonic() + _ANSWERED_SECS
        while self._untold(conversation):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        for code in self._untold(conversation):
            self._wrong(f"what came of {code} ({self._faults[code]}) was not told")

    def _untold(self, conversation: str) -> list[str]:
        done = {_code_of(each.path) for each in self._api.done}
        known = {code for code, told in self._told.items() if told - {"running", ""}}
        return sorted(self._calls[conversation] & done - known)

    # --- Afterwards

    async def _check(self) -> None:
        """Compare the journal with what the service did. What a killed bot left is closed first."""
        async with started(self._bot()):
            pass
        journal = await Journal.connect(self._options.folder / "journal.db", read_only=True)
        try:
            kept = [
                each
                for conversation in self._calls
                if (transcript := await journal.transcript(UUID(conversation))) is not None
                for each in transcript.tool_calls
            ]
        finally:
            await journal.aclose()
        keys = {each.idempotency_key for each in kept}
        times = Counter((each.path, each.key) for each in self._api.done)
        for path, number in Counter(path for path, _ in times).items():
            if number > 1:
                self._wrong(f"{path} was done for {number} calls of the tool")
        for (path, key), number in times.items():
            if path.startswith("/book/") and number > 1:
                self._wrong(f"{path} was done {number} times")
            if key not in keys:
                self._wrong(f"{path} was done and is not in the journal")
        for each in kept:
            code = str(each.arguments["code"])
            fault = _FAULTS[self._faults[code]]
            expected = fault.book if each.name == "book" else fault.find_it
            # A killed process learns no outcome.
            if each.status not in (expected, ToolStatus.UNKNOWN):
                self._wrong(f"{code} ({self._faults[code]}) is kept as {each.status}")
            if each.ended_at is None:
                self._wrong(f"{code} ({self._faults[code]}) has no end")


def _code_of(text: str) -> str:
    found = _CODE.search(text)
    return found[0] if found else ""


def _status_in(content: str) -> str:
    found = re.search(r'"status"\s*:\s*"(\w+)"|\b(done|failed|unknown)\b', content)
    return (found[1] or found[2]) if found else ""


def _said(page: TypingPage, seen: int) -> str:
    texts = [m["data"]["text"] for m in page.messages[seen:] if m["type"] == "bot-llm-text"]
    return "".join(texts)


def main() -> int:
    """Storm, print the report, and give 1 if anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tool_storm", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="calls of tools (1000)")
    parser.add_argument("--people", type=int, default=6, help="who talk at a time (6)")
    parser.add_argument("--seed", type=int, help="what everything is drawn from (at random)")
    arguments = parser.parse_args()
    end_by_signals()
    # Of requests that the storm itself breaks off.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory() as folder:
        options = Options(arguments.calls, seed, arguments.people, Path(folder))
        report = asyncio.run(Storm(options).run())
    sys.stdout.write(f"seed {seed}\n{report.readable()}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

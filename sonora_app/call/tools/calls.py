"""The calls of tools in one call: each is done at most once, and its result is not lost.

A call of a tool is a task of its own, outside Pipecat's function call: an interruption, a step of
the flow or a hang-up does not end it. The function call waits for it for less than a second. After
that the function call is over ("running"), and what comes of the tool is told to the model when it
is there (`waiting.py`).
"""

import asyncio
import json
import time
from functools import partial
from typing import Protocol

from loguru import logger
from pipecat.flows import NO_RESPONSE, FlowsFunctionSchema

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.call.presence.silence import Silence
from sonora_app.call.tools.agreement import Agreements
from sonora_app.call.tools.earlier import EarlierTools
from sonora_app.call.tools.offers import CONFIRMED_BY, Result, cancel_function, function_of
from sonora_app.call.tools.running import STATUS, RunningTool, event_of, outcome_of
from sonora_app.call.tools.waiting import SILENCE_SECS, ToolWaiting, WaitingCall
from sonora_app.flow.quoted import quoted
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import JsonObject
from sonora_app.storage.store import Store
from sonora_app.storage.tool_calls import ToolStatus
from sonora_app.tools.tool import Outcome, OutcomeStatus, Tool
from sonora_app.tools.toolbox import Toolbox

PATIENCE_SECS = 0.8
"""How long a function call waits for its tool at most, in seconds; less where the person has been
waiting in silence for long already."""

_LEAST_PATIENCE_SECS = 0.3
_RECORDED_SECS = 0.25
"""How long a tool that must not be done twice waits for its record."""

_GRACE_SECS = 1.0


class ToolsCall(WaitingCall, Protocol):
    """The parts of a call that its tools use. See `Call`."""

    page: ScreenedRTVIProcessor
    recorder: Recorder | None


class ToolCalls:
    """The calls of tools of one call.

    Args:
        toolbox: The tools.
        silence: How long nobody was heard.
    """

    def __init__(self, toolbox: Toolbox, silence: Silence) -> None:
        """Call nothing yet; `follow` says in which call this is."""
        self._toolbox = toolbox
        self._silence = silence
        self._call: ToolsCall | None = None
        self._waiting: ToolWaiting | None = None
        self._earlier = EarlierTools()
        self._calls: list[RunningTool] = []
        self._turn = 0
        self._agreements = Agreements(lambda wanted: self._earlier.unsure(wanted))
        self._trace: list[JsonObject] = []
        self._open = 0
        self._unanswered = False
        self._over = False

    @property
    def watch(self) -> tuple[Silence, ...]:
        """What has to observe the pipeline; nothing where there are no tools."""
        return (self._silence,) if self._toolbox else ()

    @property
    def any(self) -> bool:
        """Whether there are tools."""
        return bool(self._toolbox)

    def follow(self, call: ToolsCall) -> None:
        """Be the tools of `call`."""
        self._call = call
        self._waiting = ToolWaiting(call, self._silence, self._is_waited_for)

    def recall(self, store: Store, opened: OpenedConversation) -> None:
        """Have the model told what was done in earlier calls of the conversation, beside the call.

        So nothing is done twice that the person, or the model, does not know to have been done.
        """
        if self._call is not None and self._waiting is not None and opened.resumed and self.any:
            self._earlier.begin(self._call, self._waiting, store, opened)

    # --- For the flow

    def functions(self) -> dict[str, list[FlowsFunctionSchema]]:
        """What the model is offered in each node that has tools."""
        offered: dict[str, list[FlowsFunctionSchema]] = {}
        for tool in self._toolbox.tools:
            for node in tool.nodes:
                offered.setdefault(node, []).append(function_of(tool, self._asked))
        for functions in offered.values():
            functions.append(cancel_function(self._call_off))
        return offered

    # --- What the call tells

    def bot_said(self, text: str) -> None:
        """The bot said something of its own, as the person heard it."""
        self._agreements.bot_said(text)

    def user_said(self, *, typed: bool) -> None:
        """The user said something: a turn begins."""
        self._turn += 1
        self._agreements.user_said()
        if typed:
            self._silence.typed()

    def take_trace(self) -> list[JsonObject]:
        """The tools that ended since this was asked last: name, status and milliseconds."""
        trace, self._trace = self._trace, []
        return trace

    def stop(self) -> None:
        """The talk is over. What is being done goes on."""
        self._over = True
        self._earlier.close()
        if self._waiting is not None:
            self._waiting.close()

    async def finish(self, within_secs: float) -> None:
        """Wait for what is being done, so that it is recorded; cut off what takes longer."""
        tasks = {each.task for each in self._calls if each.task and not each.task.done()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within_secs)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_GRACE_SECS)

    @property
    def longest_secs(self) -> float:
        """How long what is being done may still take, in seconds."""
        running = [each.tool.time_limit_secs for each in self._calls if not each.ended]
        return max(running, default=0.0) + _GRACE_SECS

    # --- One call of a tool

    async def _asked(self, tool: Tool, arguments: JsonObject) -> Result:
        from sonora_app.tools.arguments import argument_mistakes

        given = dict(arguments)
        asked = str(given.pop(CONFIRMED_BY, "")) if tool.confirm else ""
        if mistakes := argument_mistakes(given, tool.parameters):
            return {"status": "refused", "mistakes": mistakes, "note": self._note("mistakes")}, None
        fingerprint = json.dumps([tool.name, given], sort_keys=True, ensure_ascii=False)
        same = self._same(fingerprint)
        if same is None:
            same = RunningTool(tool, given, fingerprint, self._turn)
            if note := self._agreements.missing(same, self._calls, asked):
                return {"status": "to_be_confirmed", "note": self._note(note)}, None
            self._calls.append(same)
            same.task = asyncio.create_task(self._do(same), name=f"sonora-tool-{tool.name}")
        return await self._result_of(same)

    def _same(self, fingerprint: str) -> RunningTool | None:
        """The same thing, which is being done, or was done in this turn already."""
        for each in reversed(self._calls):
            if each.fingerprint == fingerprint and (not each.ended or each.turn == self._turn):
                return each
        return None

    async def _result_of(self, running: RunningTool) -> Result:
        """What the function call gives. Of several in one answer, the last has them answered."""
        function_call = asyncio.current_task()
        if function_call is not None:
            function_call.add_done_callback(partial(self._function_call_over, running))
        self._open += 1
        try:
            result, answered = await self._result_in_time(running)
        finally:
            self._open -= 1
        self._unanswered = answered or self._unanswered
        if self._open or not self._unanswered:
            return result, NO_RESPONSE
        self._unanswered = False
        return result, None

    async def _result_in_time(self, running: RunningTool) -> tuple[JsonObject, bool]:
        """What came of it by now, and whether the model is to answer that."""
        task, again = running.task, running.late
        if task is None:
            raise RuntimeError("a call of a tool that was not begun")
        patience = min(PATIENCE_SECS, SILENCE_SECS - self._silence.secs)
        await asyncio.wait({task}, timeout=max(_LEAST_PATIENCE_SECS, patience))
        if task.done():
            return self._told(running, outcome_of(task)), True
        running.late = True
        if self._waiting is not None:
            self._waiting.bridge()
        return {"status": "running", "note": self._note("running")}, again

    def _function_call_over(self, running: RunningTool, function_call: asyncio.Task[None]) -> None:
        """An interruption may cut a function call off, also with the result in hand."""
        if not function_call.cancelled():
            return
        running.late = True
        wanted = not running.called_off or not running.tool.repeatable
        if wanted and running.task is not None and running.task.done():
            outcome = outcome_of(running.task)
            running.telling = asyncio.create_task(self._tell_late(running, outcome))

    async def _do(self, running: RunningTool) -> Outcome:
        call, tool = self._call, running.tool
        recorder = call.recorder if call is not None else None
        key = str(running.id)
        began = time.monotonic()
        if recorder is not None:
            running.record = recorder.tool_started(
                tool.name, running.kept_arguments, idempotency_key=key
            )
            if not tool.repeatable:
                # What must not be done twice is not done before it is known that it may have been.
                await recorder.drain(timeout_secs=_RECORDED_SECS)
        await self._tell_page(running, ToolStatus.STARTED)
        try:
            async with asyncio.timeout(tool.time_limit_secs + _GRACE_SECS):
                outcome = await self._toolbox.run(tool, running.arguments, key=key)
        except asyncio.CancelledError:
            self._record(running, ToolStatus.UNKNOWN, "")
            raise
        except Exception as error:  # noqa: BLE001  # whatever a runner raises, the model is told
            logger.error(f"The tool {tool.name} failed: {type(error).__name__}")
            outcome = Outcome(OutcomeStatus.UNKNOWN, "")
        took_ms = round((time.monotonic() - began) * 1000, 1)
        status = STATUS[outcome.status]
        if not running.called_off or not tool.repeatable:
            self._record(running, status, outcome.text)
            await self._tell_page(running, status, took_ms)
            if running.late:
                await self._tell_late(running, outcome)
        self._trace.append({"name": tool.name, "status": status.value, "took_ms": took_ms})
        return outcome

    def _record(self, running: RunningTool, status: ToolStatus, result: str) -> None:
        recorder = self._call.recorder if self._call is not None else None
        if recorder is not None and running.record is not None:
            recorder.tool_ended(running.record, status, result=result or None)

    async def _tell_page(
        self, running: RunningTool, state: ToolStatus, took_ms: float | None = None
    ) -> None:
        if self._call is not None and not self._over:
            await self._call.page.tell(event_of(running, state, took_ms))

    def _tell_page_soon(self, running: RunningTool, state: ToolStatus) -> None:
        if self._call is not None and not self._over:
            self._call.page.tell_soon(event_of(running, state, None))

    async def _tell_late(self, running: RunningTool, outcome: Outcome) -> None:
        if self._call is None or self._waiting is None or self._over or running.told_late:
            return
        running.told_late = True
        told, tool = self._told(running, outcome), running.tool
        facts = {
            "name": tool.name,
            "arguments": quoted(json.dumps(running.arguments, ensure_ascii=False)),
            "result": quoted(json.dumps(told, ensure_ascii=False), max_chars=tool.max_chars + 500),
        }
        await self._waiting.tell(self._call.lines.text("prompt.tool.late", facts))

    def _told(self, running: RunningTool, outcome: Outcome) -> JsonObject:
        """What the model is told of an outcome."""
        tool = running.tool
        told: JsonObject = {"status": outcome.status.value, "result": outcome.text}
        if outcome.status is OutcomeStatus.UNKNOWN:
            running.unknown_in = self._turn
            told["note"] = self._note("unknown_repeatable" if tool.repeatable else "unknown")
        elif outcome.status is not OutcomeStatus.DONE:
            told["note"] = self._note("failed")
        return told

    def _call_off(self, name: str) -> JsonObject:
        running = [each for each in self._calls if not each.ended and not each.called_off]
        chosen = [each for each in running if each.tool.name == name] or running
        if not chosen:
            return {"status": "nothing_is_running"}
        for each in chosen:
            each.called_off = True
            if each.tool.repeatable:
                self._record(each, ToolStatus.CALLED_OFF, "")
                self._tell_page_soon(each, ToolStatus.CALLED_OFF)
        if all(each.tool.repeatable for each in chosen):
            return {"status": "called_off"}
        return {"status": "unknown", "note": self._note("called_off")}

    def _is_waited_for(self) -> bool:
        return any(each.late and not each.ended and not each.called_off for each in self._calls)

    def _note(self, key: str) -> str:
        return self._call.lines.text(f"prompt.tool.{key}") if self._call is not None else ""


def build_tools(toolbox: Toolbox) -> ToolCalls:
    """The tools of a call that is about to be built."""
    return ToolCalls(toolbox, Silence())

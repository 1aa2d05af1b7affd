"""The stand-in for the language model: it follows the flow, from the context alone."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from openai.types.chat import ChatCompletionChunk
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.flows import FlowManager
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    MetricsFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData, TTFBMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.workers.runner import WorkerRunner

from flows import handlers
from sonora_app.call.call import STATE_KEY
from sonora_app.call.ending.summary import Description
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.rehearsal.llm import RehearsalLLMService
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

ES, EN = Lines(Language.ES), Lines(Language.EN)

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def bot(text: str) -> Message:
    return {"role": "assistant", "content": text}


def check_description(answer: Mapping[str, Any]) -> None:
    schema = yaml.safe_load((FLOWS_DIR / "summary.yaml").read_text("utf-8"))["schema"]
    jsonschema.validate(answer, schema)
    Description.model_validate(answer)


# --- As a service


def tools(*names: str) -> ToolsSchema:
    return ToolsSchema(
        standard_tools=[
            FunctionSchema(name=name, description=name, properties={}, required=[])
            for name in names
        ]
    )


async def chunks(llm: RehearsalLLMService, context: LLMContext) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in await llm.get_chat_completions(context)]


async def test_an_answer_streams_in_small_pieces() -> None:
    context = LLMContext(messages=[user("Hola, quiero ir a Roma")], tools=tools("wrap_up"))
    stream = await chunks(RehearsalLLMService(ES), context)
    pieces = [
        c.choices[0].delta.content for c in stream if c.choices and c.choices[0].delta.content
    ]
    assert len(pieces) > 10
    assert "Hola, quiero ir a Roma" in "".join(pieces)
    assert stream[-2].choices[0].finish_reason == "stop"
    assert stream[-1].usage
    assert stream[-1].usage.completion_tokens == len(pieces)


async def test_it_takes_as_long_as_it_is_told_to() -> None:
    llm = RehearsalLLMService(ES, first_token_secs=0.15, between_tokens_secs=0.01)
    context = LLMContext(messages=[user("Hola")])
    clock = asyncio.get_running_loop()
    start = clock.time()
    times = [clock.time() - start async for _ in await llm.get_chat_completions(context)]
    assert times[0] > 0.14
    assert times[-1] > 0.14 + 0.01 * (len(times) - 4)


async def test_it_answers_in_the_language_it_was_set_to() -> None:
    llm = RehearsalLLMService(ES)
    llm.set_lines(EN)
    stream = await chunks(llm, LLMContext(messages=[user("To Rome")]))
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text.startswith("This is a rehearsal")


@pytest.mark.parametrize("lines", [ES, EN])
async def test_after_a_call_it_sums_up_what_was_said(lines: Lines) -> None:
    messages: list[Any] = [user("Roma"), bot("Claro"), user("Florencia")]
    answer = await RehearsalLLMService(lines).run_inference(
        LLMContext(messages=messages), max_tokens=10, system_instruction="Sum up."
    )
    description = json.loads(answer)
    check_description(description)
    assert description["topics"] == ["Florencia", "Roma"]
    assert description["title"] == lines.text("rehearsal.title", {"topic": "Florencia"})
    assert description["outcome"] == "interrupted"


@pytest.mark.parametrize(
    ("lines", "goodbye", "nothing_more"), [(ES, "Adiós", "No, gracias."), (EN, "Bye", "No thanks.")]
)
async def test_a_call_that_a_goodbye_ended_was_not_interrupted(
    lines: Lines, goodbye: str, nothing_more: str
) -> None:
    messages: list[Any] = [user("Roma"), bot("Claro"), user(goodbye), bot("¿Algo más?")]
    messages += [user(nothing_more), bot("Chau")]
    answer = await RehearsalLLMService(lines).run_inference(LLMContext(messages=messages))
    check_description(json.loads(answer))
    assert json.loads(answer)["outcome"] == "informational"


async def test_text_usage_and_metrics_come_out_as_with_a_model() -> None:
    context = LLMContext(messages=[user("Quiero ir a Roma")])
    down, _ = await run_test(
        RehearsalLLMService(ES),
        frames_to_send=[LLMContextFrame(context), SleepFrame(0.2)],
        pipeline_params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        start_timeout=10,
    )
    texts = [frame.text for frame in down if isinstance(frame, LLMTextFrame)]
    assert len(texts) > 10
    assert "Quiero ir a Roma" in "".join(texts)
    data = [item for f in down if isinstance(f, MetricsFrame) for item in f.data]
    [usage] = [item for item in data if isinstance(item, LLMUsageMetricsData)]
    assert usage.value.completion_tokens == len(texts)
    assert usage.value.prompt_tokens == 4
    assert any(isinstance(item, TTFBMetricsData) and item.value > 0 for item in data)


# --- With the real flow


class StubCall:
    """What the flow's handlers need of a call."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.opened = SimpleNamespace(back=None)
        self.described: dict[str, Any] = {}
        self.farewell = asyncio.Event()

    def prompt_facts(self) -> dict[str, str]:
        language = self.lines.text("prompt.language")
        return {
            "language": language,
            "user": "",
            "history": "",
            "knowledge": "",
            "acting": "",
            "sight": "",
            "memory": "",
            "recording": "",
            "wrap_up_reason": "",
        }

    def wrap_up_reason(self) -> str:
        return ""

    def describe(self, **description: Any) -> None:
        self.described = description

    async def mute_user(self, muted: bool) -> None: ...

    async def speak(self, line: str) -> None:
        if line == "farewell":
            self.farewell.set()

    async def announce_end(self) -> None: ...


class Talk:
    """A call in rehearsal, with the flow, its manager and the context as in production."""

    def __init__(self, lines: Lines, history: Sequence[Message]) -> None:
        self.history: list[Any] = list(history)
        self.llm = RehearsalLLMService(lines)
        self.context = LLMContext()
        self.call = StubCall(lines)
        self.moves: list[str] = []
        self.answers = asyncio.Queue[str]()
        pair = LLMContextAggregatorPair(self.context)
        pair.assistant().add_event_handler("on_assistant_turn_stopped", self._answered)
        self.worker = PipelineWorker(
            Pipeline([pair.user(), self.llm, pair.assistant()]),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )
        manager = FlowManager(worker=self.worker, llm=self.llm, context_aggregator=pair)
        self.driver = FlowDriver(manager, handlers)
        self.driver.moved.add(self._moved)

    async def append_history(self) -> None:
        frame = LLMMessagesAppendFrame(messages=self.history, run_llm=False)
        await self.worker.queue_frame(frame)

    async def _moved(self, move: Move) -> None:
        self.moves.append(move.to_node)

    async def _answered(self, _: object, turn: Any) -> None:
        if turn.content:
            self.answers.put_nowait(turn.content)

    async def say(self, text: str) -> None:
        message: Any = user(text)
        await self.worker.queue_frame(LLMMessagesAppendFrame(messages=[message], run_llm=True))

    async def hear(self) -> str:
        return await asyncio.wait_for(self.answers.get(), 30)


@asynccontextmanager
async def talk_in(lines: Lines, *history: Message) -> AsyncGenerator[Talk]:
    talk = Talk(lines, history)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        await talk.driver.start({STATE_KEY: talk.call, **talk.call.prompt_facts()})
        await talk.append_history()
        await talk.driver.fire(
            "set_conversation_id",
            cause="page",
            arguments={"conversation_id": "", "user_id": "ana", "language": ""},
        )
        await talk.driver.fire("greeting_finished", cause="spoken")
        yield talk
    finally:
        await talk.worker.cancel()
        await running


SCRIPT = {
    Language.ES: ("Mi viaje a Roma", "eso es todo", "sí, ¿y el hotel?", "adiós", "no, gracias"),
    Language.EN: ("My trip to Rome", "that's all", "yes, and the hotel?", "goodbye", "no, thanks"),
}


@pytest.mark.parametrize("language", list(Language))
async def test_a_whole_call_goes_through_the_real_flow(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> httpx.Response:
        raise AssertionError("a request was sent")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", refuse)
    lines = Lines(language)
    topic, finish, more, finish_again, done = SCRIPT[language]
    async with talk_in(lines) as talk:
        await talk.say(topic)
        assert topic in await talk.hear()
        await talk.say(finish)
        assert await talk.hear() == lines.text("rehearsal.wrap_up", {"topics": topic})
        assert talk.call.described["topics"] == [topic]
        check_description(talk.call.described)
        await talk.say(more)
        assert "hotel" in await talk.hear()
        await talk.say(finish_again)
        assert "hotel" in await talk.hear()
        await talk.say(done)
        await asyncio.wait_for(talk.call.farewell.wait(), 30)
        assert talk.moves == [
            "greeting",
            "conversation",
            "wrap_up",
            "conversation",
            "wrap_up",
            "farewell",
        ]
        assert talk.answers.empty()


async def test_a_call_wound_up_by_the_page_is_summed_up() -> None:
    async with talk_in(ES) as talk:
        await talk.say("Mi viaje a Roma")
        await talk.hear()
        await talk.driver.fire(
            "wrap_up",
            cause="user_request",
            arguments={"title": "", "summary": "", "topics": [], "outcome": ""},
        )
        assert "Mi viaje a Roma" in await talk.hear()
        await talk.say("No")
        await asyncio.wait_for(talk.call.farewell.wait(), 30)


async def test_a_resumed_call_knows_what_was_said_before() -> None:
    history = [user("Quiero hablar de mi viaje a Oaxaca"), bot("Claro.")]
    async with talk_in(ES, *history) as talk:
        await talk.say("¿Y el hotel?")
        assert "ensayo" in await talk.hear()
        await talk.say("adiós")
        await talk.hear()
        assert talk.call.described["topics"] == ["hotel", "mi viaje a Oaxaca"]

"""The functions of a flow, taken by a model that gives them anything, and in every node."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, Literal

import pytest
from loguru import logger
from pipecat.flows import TRANSITION_IN_YAML, FlowConfig, FlowManager
from pipecat.frames.frames import LLMMessagesAppendFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.workers.runner import WorkerRunner

from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from sonora_app.errors import MessageError
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.llm import build_llm
from sonora_app.settings import Settings

pytestmark = pytest.mark.flow

FLOW = """
initial_node: first
global_functions:
  - name: look_up
  - name: leave
    transition_only: true
    description: The person wants to go.
    transition_to: last
  - name: cut
    transition_only: true
    description: The line is cut. (event)
    transition_to: last
nodes:
  first:
    task_messages: []
    respond_immediately: false
    functions:
      - name: go_on
        transition_to: second
  second:
    task_messages: []
    respond_immediately: false
  last:
    task_messages: []
    respond_immediately: false
"""

SECRET = "abracadabra"


class Flow:
    """A call's flow, with Pipecat's manager and service, and a model that answers as it is told."""

    def __init__(self, openai: OpenAIVendor) -> None:
        self.taken: list[dict[str, Any]] = []
        self.moves: list[Move] = []
        handlers = ModuleType("handlers")

        async def go_on(
            flow_manager: FlowManager,
            title: str,
            topics: list[str],
            outcome: Literal["resolved", "unresolved"],
        ) -> tuple[Any, Any]:
            """Go on.

            Args:
                title: What it is about.
                topics: The same in words.
                outcome: What came of it.
            """
            self.taken.append({"title": title, "topics": topics, "outcome": outcome})
            return {"status": "ok"}, TRANSITION_IN_YAML

        async def look_up(flow_manager: FlowManager, question: str) -> tuple[Any, Any]:
            """Look something up.

            Args:
                question: What.
            """
            self.taken.append({"question": question})
            if question == SECRET:
                raise ValueError(question)
            return {"answer": "42"}, None

        vars(handlers).update(go_on=go_on, look_up=look_up)
        llm = build_llm(
            Settings.model_validate({"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.url})
        )
        self.context = LLMContext()
        pair = LLMContextAggregatorPair(self.context)
        self.worker = PipelineWorker(
            Pipeline([pair.user(), llm, pair.assistant()]), enable_rtvi=False
        )
        manager = FlowManager(worker=self.worker, llm=llm, context_aggregator=pair)
        self.driver = FlowDriver(manager, handlers, config=FlowConfig.from_yaml(FLOW))
        self.driver.moved.add(self._moved)

    async def _moved(self, move: Move) -> None:
        self.moves.append(move)

    async def say(self, text: str) -> None:
        message: Any = {"role": "user", "content": text}
        await self.worker.queue_frame(LLMMessagesAppendFrame(messages=[message], run_llm=True))

    async def until(self, done: Any) -> None:
        async with asyncio.timeout(30):
            while not done():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def flowing() -> AsyncGenerator[tuple[Flow, OpenAIVendor]]:
    openai = OpenAIVendor("key")
    async with openai.serving():
        flow = Flow(openai)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(flow.worker)
        running = asyncio.create_task(runner.run())
        try:
            await flow.driver.start({})
            yield flow, openai
        finally:
            await flow.worker.cancel()
            await running


def calling(*calls: ToolCall) -> Any:
    """A model that calls functions first, and then answers."""

    def model(request: ChatRequest) -> Reply:
        asked_last = request.messages[-1]["role"] == "user"
        return Reply(calls=calls) if asked_last else Reply("Muy bien.")

    return model


async def test_a_step_is_taken_whatever_it_is_given() -> None:
    async with flowing() as (flow, openai):
        given = {"title": ["Un", "viaje"], "topics": "viajes, comida", "outcome": "so-so", "x": 1}
        openai.model = calling(ToolCall("go_on", given))
        await flow.say("Adiós")
        await flow.until(lambda: flow.moves)
        assert flow.taken == [{"title": "Un viaje", "topics": ["viajes", "comida"], "outcome": ""}]
        assert [(move.to_node, move.cause) for move in flow.moves] == [("second", "model")]


async def test_a_function_of_two_that_are_called_at_once_is_recorded_once() -> None:
    async with flowing() as (flow, openai):
        openai.model = calling(ToolCall("go_on", {}), ToolCall("look_up", {"question": "a"}))
        await flow.say("Adiós")
        await flow.until(lambda: flow.driver.node == "second" and len(flow.taken) == 2)
        assert [move.to_node for move in flow.moves] == ["second"]


async def test_a_function_that_fails_tells_nobody_what_it_was_given() -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="INFO")
    async with flowing() as (flow, openai):
        openai.model = calling(ToolCall("look_up", {"question": SECRET}))
        await flow.say("Busca")
        await flow.until(lambda: len(openai.bodies) == 2)
        result = openai.bodies[1]["messages"][-1]["content"]
    logger.remove(sink)
    assert SECRET not in result
    assert any("look_up failed: ValueError" in line for line in lines)
    assert SECRET not in "".join(lines)


async def test_global_functions_are_offered_and_taken_in_every_node() -> None:
    async with flowing() as (flow, openai):
        openai.model = calling(ToolCall("look_up", {"question": "a"}))
        await flow.say("Busca")
        # What is said into an answer would come before it in what the model is told.
        messages = flow.context.get_messages
        await flow.until(lambda: "Muy bien." in [each.get("content") for each in messages()])
        openai.model = calling(ToolCall("go_on", {}))
        await flow.say("Sigue")
        await flow.until(lambda: flow.driver.node == "second")
        asked = len(openai.bodies)
        openai.model = calling(ToolCall("leave", {}))
        await flow.say("Adiós")
        await flow.until(lambda: flow.driver.node == "last")
        offered = [
            {tool["function"]["name"] for tool in openai.bodies[index]["tools"]}
            for index in (0, asked)
        ]
        assert offered == [{"go_on", "look_up", "leave"}, {"look_up", "leave"}]
        assert [move.function for move in flow.moves] == ["go_on", "leave"]


async def test_an_event_takes_a_global_function_too() -> None:
    async with flowing() as (flow, _):
        assert flow.driver.can("cut")
        assert "cut" not in {schema.name for schema in flow.driver.offered_to_model("first")}
        await flow.driver.fire("cut", cause="network")
        assert flow.driver.node == "last"
        assert [(move.from_node, move.cause) for move in flow.moves] == [("first", "network")]
        with pytest.raises(MessageError):
            await flow.driver.fire("go_on", cause="network")


async def test_the_choices_of_an_argument_are_told_to_the_model() -> None:
    async with flowing() as (flow, openai):
        openai.model = lambda _: Reply("Hola.")
        await flow.say("Hola")
        await flow.until(lambda: openai.bodies)
        (go_on,) = [t for t in openai.bodies[0]["tools"] if t["function"]["name"] == "go_on"]
        outcome = go_on["function"]["parameters"]["properties"]["outcome"]
        assert outcome["enum"] == ["resolved", "unresolved"]

"""Moves a call through the nodes of `flows/sonora.yaml`.

A function of the flow is called in one of two ways: the language model calls it as a tool, or an
event calls it through `FlowDriver.fire`. Both ways run the handler that the YAML names, and go
where the YAML says. Each node begins with an action that reports the move, so a move is reported
once, whichever way it was caused.

The model is not offered a function whose description ends in `(event)`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, cast

import yaml
from loguru import logger
from pipecat.flows import (
    NO_RESPONSE,
    ActionConfig,
    ConsolidatedFunctionResult,
    Flow,
    FlowArgs,
    FlowConfig,
    FlowError,
    FlowManager,
    FlowsFunctionSchema,
    NodeConfig,
)
from pipecat.processors.aggregators.llm_context import LLMContextMessage

from sonora_app.errors import ErrorCode, MessageError
from sonora_app.flow.abreast import FunctionsAbreast
from sonora_app.flow.arguments import add_choices, usable
from sonora_app.flow.check import as_flow_error, check_flows
from sonora_app.flow.instructions import filled_in
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.runtime.listeners import Listeners
from sonora_app.wording.translation import worded

FLOW_FILE = FLOWS_DIR / "sonora.yaml"
"""The flow, as data."""

EVENT_ONLY = "(event)"
"""How the description of a function ends that only events take."""

ANSWER_ON_ARRIVAL = "answer_on_arrival"
"""State key by which a handler says whether the model speaks on entering the next node."""

NO_TOOLS: Mapping[str, Sequence[FlowsFunctionSchema]] = {}

_Handler = Callable[[FlowArgs, FlowManager], Awaitable[ConsolidatedFunctionResult]]


@dataclass(frozen=True)
class Move:
    """One step of the flow.

    Parameters:
        from_node: Where it came from.
        to_node: Where it went.
        function: The function that was taken.
        cause: What took it: `model`, or the name of the event.
        arguments: What the function was given.
    """

    from_node: str
    to_node: str
    function: str
    cause: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@cache
def load_flow_config() -> FlowConfig:
    """The flow as data, read once per process.

    Raises:
        SettingsError: The files of `flows/` have mistakes.
    """
    check_flows()
    try:
        return FlowConfig.from_file(FLOW_FILE)
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise as_flow_error(error) from None


def load_flow(handlers: ModuleType) -> Flow:
    """The flow, joined to what its functions and actions do.

    Args:
        handlers: The module `flows.handlers`.

    Raises:
        SettingsError: The files of `flows/` have mistakes.
    """
    try:
        return Flow(load_flow_config(), handlers=handlers)
    except FlowError as error:
        raise as_flow_error(error) from None


class FlowDriver:
    """Moves one call.

    Args:
        manager: Runs the flow in the call's pipeline.
        handlers: What the functions and actions of the flow do, by their names.
        without: Functions that this call cannot do, which the model is not offered.
        config: The flow, if it is not the one of `FLOW_FILE`.
        tools: More functions for the model, by the nodes that have them. They lead nowhere.

    Attributes:
        config: The flow.
        moved: Told each step on entering the node, before the node's own actions run.
        abreast: Has the functions that the model calls at once answered once.
    """

    def __init__(
        self,
        manager: FlowManager,
        handlers: ModuleType,
        *,
        without: Collection[str] = (),
        config: FlowConfig | None = None,
        tools: Mapping[str, Sequence[FlowsFunctionSchema]] = NO_TOOLS,
    ) -> None:
        """Join the flow to its handlers, for this call."""
        self._without = without
        self.config = config or load_flow_config()
        self._flow = Flow(self.config, handlers=handlers)
        self._manager = manager
        self.moved = Listeners[Move]("a step of the flow")
        self._functions: dict[str, dict[str, FlowsFunctionSchema]] = {}
        self._talking: set[str] = set()
        self._taken: Move | None = None
        self._event: str | None = None
        self._firing = asyncio.Lock()
        self.abreast = FunctionsAbreast()
        for schema in self._everywhere:
            self._watch_function(schema, handlers)
        for name in self.config.nodes:
            self._watch(self._flow.node(name), handlers)
            self.offered_to_model(name).extend(map(self.abreast.beside, tools.get(name, ())))

    @property
    def node(self) -> str:
        """The node the call is in."""
        return self._manager.current_node or self.config.initial_node

    @property
    def talking(self) -> bool:
        """Whether the person talks with the model in the present node.

        So it is where the model may lead on, which is where it is offered a function of the node's.
        In the others, as in the greeting, only events do.
        """
        return self.node in self._talking

    @property
    def state(self) -> dict[str, Any]:
        """What handlers have put there, and what the prompts' placeholders stand for."""
        return self._manager.state

    def cases(self, function: str, *, prefix: str) -> frozenset[str]:
        """What follows `prefix` in the cases by which `function` leaves the present node."""
        functions = self.config.nodes[self.node].functions or []
        leads = next((each.transition_to for each in functions if each.name == function), None)
        cases = leads.cases if isinstance(leads, FlowConfig.Branch) else {}
        return frozenset(each.removeprefix(prefix) for each in cases if each.startswith(prefix))

    @property
    def cause(self) -> str:
        """What is taking a function right now: the event's name, or `model`."""
        return self._event or "model"

    def can(self, function: str) -> bool:
        """Whether the present node has `function`."""
        return function in self._functions[self.node]

    def check(self, function: str) -> None:
        """See that the present node has `function`.

        Raises:
            MessageError: It has not.
        """
        if not self.can(function):
            said = worded("{what} cannot be done in {node}.", what=function, node=self.node)
            raise MessageError(ErrorCode.OUT_OF_TURN, said, hint=worded("Wait for node-changed."))

    def offered_to_model(self, node: str) -> list[FlowsFunctionSchema]:
        """The functions of `node` that the language model may call."""
        return cast(list[FlowsFunctionSchema], self._flow.node(node).get("functions", []))

    def instructions_in(self, messages: Sequence[LLMContextMessage]) -> list[LLMContextMessage]:
        """Those of a context's `messages` that tell the model what to do in the present node."""
        return filled_in(self.config.nodes[self.node].task_messages or [], messages)

    async def start(self, state: Mapping[str, Any]) -> None:
        """Enter the first node.

        Args:
            state: What the handlers find there, and what the prompts' placeholders stand for.
        """
        self._manager.state.update(state)
        await self._manager.initialize(self._flow.initial_node)

    async def fire(
        self, function: str, *, cause: str, arguments: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Take `function` of the present node, because of an event.

        Args:
            function: Its name in the YAML.
            cause: The event's name, kept with the transition.
            arguments: What its handler takes.

        Returns:
            What the handler answered; empty for a function without one.

        Raises:
            MessageError: The present node has no such function. Nothing has changed.
        """
        async with self._firing:
            self.check(function)
            self._event = cause
            try:
                handler = cast(_Handler, self._functions[self.node][function].handler)
                result, node = await handler(dict(arguments or {}), self._manager)
            finally:
                self._event = None
            if isinstance(node, dict):
                await self._manager.set_node_from_config(node)
            return cast(Mapping[str, Any], result) if isinstance(result, Mapping) else {}

    async def fire_if_possible(
        self, function: str, *, cause: str, arguments: Mapping[str, Any] | None = None
    ) -> bool:
        """Take `function` if the present node has it; tell whether it was taken."""
        try:
            await self.fire(function, cause=cause, arguments=arguments)
        except MessageError:
            return False
        return True

    @property
    def _everywhere(self) -> list[FlowsFunctionSchema]:
        """The functions that every node has."""
        return cast(list[FlowsFunctionSchema], self._flow.global_functions)

    def _watch_function(self, schema: FlowsFunctionSchema, handlers: ModuleType) -> None:
        handler = getattr(handlers, schema.name, None)
        if handler is not None:
            add_choices(schema.properties, handler)
        schema.handler = self._noting(schema, cast(_Handler, schema.handler))

    def _watch(self, node: NodeConfig, handlers: ModuleType) -> None:
        functions = cast(list[FlowsFunctionSchema], node.get("functions", []))
        for schema in functions:
            self._watch_function(schema, handlers)
        if not all(map(_is_for_events, functions)):
            self._talking.add(node.get("name", ""))
        functions = [*functions, *self._everywhere]
        self._functions[node.get("name", "")] = {schema.name: schema for schema in functions}
        node["functions"] = [
            schema
            for schema in functions
            if not _is_for_events(schema) and schema.name not in self._without
        ]
        entered = cast(
            ActionConfig,
            {"type": "entered", "handler": self._entered, "node": node.get("name", "")},
        )
        node["pre_actions"] = [entered, *node.get("pre_actions", [])]

    def _noting(self, schema: FlowsFunctionSchema, handler: _Handler) -> _Handler:
        async def noted(args: FlowArgs, manager: FlowManager) -> ConsolidatedFunctionResult:
            cause, by_model = self.cause, self._event is None
            if by_model:
                args = usable(args, schema.properties)
            try:
                with self.abreast.running():
                    result, node = await handler(args, manager)
                    await self.abreast.all_begun()
            except Exception as error:
                if not by_model:
                    raise
                # Pipecat would tell the model, and the log, what is in the error.
                logger.error(f"{schema.name} failed: {type(error).__name__}")
                return {"status": "failed"}, None
            if by_model and isinstance(node, dict):
                await self.abreast.others_are_done()
            if isinstance(node, dict):
                self._taken = Move(self.node, node.get("name", ""), schema.name, cause, dict(args))
                answers = manager.state.pop(ANSWER_ON_ARRIVAL, None)
                if answers is not None:
                    node = cast(NodeConfig, {**node, "respond_immediately": answers})
            elif by_model and node is None and self.abreast.answered_later:
                node = NO_RESPONSE
            return result, node

        return noted

    async def _entered(self, action: Mapping[str, Any], manager: FlowManager) -> None:
        move, self._taken = self._taken, None
        # The initial node is entered without a move, and so is a node entered anew from itself.
        if move is not None and move.to_node == action["node"] != move.from_node:
            await self.moved.tell(move)


def _is_for_events(schema: FlowsFunctionSchema) -> bool:
    return schema.description.rstrip().endswith(EVENT_ONLY)

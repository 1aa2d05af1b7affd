"""What the model will be told at a step that the call has yet to come to."""

import re
from collections.abc import Mapping
from typing import Any

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext

from sonora_app.flow.driver import FlowDriver

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def next_node(driver: FlowDriver, node: str, function: str) -> str | None:
    """Where `function` leads from `node`; None where that depends on what it gives."""
    functions = driver.config.nodes[node].functions or []
    leads = next((each.transition_to for each in functions if each.name == function), None)
    return leads if isinstance(leads, str) else None


def tasks_of(driver: FlowDriver, node: str, state: Mapping[str, Any]) -> list[dict[str, str]]:
    """The instructions of a node as they stand in the context."""
    tasks = driver.config.nodes[node].task_messages or []
    return [{"role": task.role, "content": _filled(task.content, state)} for task in tasks]


def request_at(driver: FlowDriver, node: str, messages: list[Any]) -> tuple[LLMContext, str | None]:
    """A request as the model gets it at a node: its context, and its system instruction.

    Args:
        driver: Moves the call. Its state fills in the placeholders.
        node: The step that the call will come to.
        messages: The context's messages by then.
    """
    tools = ToolsSchema([each.to_function_schema() for each in driver.offered_to_model(node)])
    return LLMContext(messages, tools=tools), instruction_at(driver, node)


def instruction_at(driver: FlowDriver, node: str) -> str | None:
    """The system instruction of a node; None where it leaves the one before as it is."""
    role = driver.config.nodes[node].role_message
    return role and _filled(role, driver.state)


def _filled(text: str, state: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda found: str(state.get(found[1], "")), text)

"""What the model is told at each node of the flow, and what it is offered there."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from pipecat.flows import Flow, FlowError, FlowsFunctionSchema

from sonora_app.flow.check import as_flow_error
from sonora_app.flow.driver import EVENT_ONLY, load_flow_config


@dataclass(frozen=True)
class Offered:
    """A function of a node.

    Parameters:
        name: Its name.
        description: What the model is told of it.
        by_event: Whether events alone take it, so that the model is not offered it.
        arguments: What it takes, as JSON Schema, by name.
    """

    name: str
    description: str
    by_event: bool
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """What the model is told at a node. Placeholders are as the YAML has them.

    Parameters:
        node: The node.
        role: Who the model is; None: as at the node before.
        tasks: What it is to do there.
        functions: What it may call, and what events may take.
    """

    node: str
    role: str | None
    tasks: tuple[str, ...]
    functions: tuple[Offered, ...]


def told_at_nodes(handlers: ModuleType) -> tuple[Told, ...]:
    """What the model is told at each node, in the order of the YAML.

    Args:
        handlers: What the flow's functions and actions do, by their names.

    Raises:
        SettingsError: The flow cannot be read, or names what its handlers lack.
    """
    config = load_flow_config()
    try:
        flow = Flow(config, handlers=handlers)
    except FlowError as error:
        raise as_flow_error(error) from None
    shared = cast(list[FlowsFunctionSchema], flow.global_functions)
    return tuple(
        Told(
            name,
            node.role_message,
            tuple(task.content for task in node.task_messages or ()),
            tuple(map(_offered, (*_functions(flow, name), *shared))),
        )
        for name, node in config.nodes.items()
    )


def _functions(flow: Flow, node: str) -> list[FlowsFunctionSchema]:
    return cast(list[FlowsFunctionSchema], flow.node(node).get("functions", []))


def _offered(schema: FlowsFunctionSchema) -> Offered:
    description = schema.description.strip()
    return Offered(
        schema.name,
        description.removesuffix(EVENT_ONLY).rstrip(),
        description.endswith(EVENT_ONLY),
        schema.properties,
    )

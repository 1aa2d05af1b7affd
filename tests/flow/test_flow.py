"""The flow as data: valid, complete, and the only place that says what follows what."""

import inspect
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pipecat.flows import Flow, FlowConfig

from flows import handlers
from sonora_app.flow.driver import EVENT_ONLY, FlowDriver, load_flow_config
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.settings import Language
from sonora_app.storage.records import EndReason

pytestmark = pytest.mark.flow

FLOW_FILE = FLOWS_DIR / "sonora.yaml"


def edges(config: FlowConfig) -> dict[str, set[str]]:
    return {
        name: {target for function in node.functions for target in function.targets()}
        for name, node in config.nodes.items()
    }


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen, todo = set[str](), [start]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(graph[node])
    return seen


def test_is_valid_by_pipecats_published_schema() -> None:
    schema = json.loads(
        (resources.files("pipecat.flows") / "flow_config.schema.json").read_text("utf-8")
    )
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(FLOW_FILE.read_text("utf-8")))


def test_the_published_schema_refuses_what_it_should() -> None:
    schema = json.loads(
        (resources.files("pipecat.flows") / "flow_config.schema.json").read_text("utf-8")
    )
    broken = yaml.safe_load(FLOW_FILE.read_text("utf-8"))
    broken["nodes"]["waiting"]["functions"][1]["transition_to"] = {"field": "status"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_needs_nothing_that_the_editor_cannot_read() -> None:
    text = FLOW_FILE.read_text("utf-8")
    assert "!include" not in text
    FlowConfig.from_yaml(text)  # refuses !include by itself, without a base folder


def test_has_the_nodes_of_the_design() -> None:
    config = load_flow_config()
    assert config.initial_node == "waiting"
    assert list(config.nodes) == ["waiting", "greeting", "conversation", "wrap_up", "farewell"]


def test_every_node_is_reachable_and_every_node_reaches_the_farewell() -> None:
    config = load_flow_config()
    graph = edges(config)
    assert reachable(config.initial_node, graph) == set(config.nodes)
    for node in config.nodes:
        assert "farewell" in reachable(node, graph)
    assert graph["farewell"] == set()


def test_every_handler_is_used_and_every_function_has_one() -> None:
    config = load_flow_config()
    Flow(config, handlers=handlers)  # raises when a function or an action has none
    used = {
        function.name
        for node in config.nodes.values()
        for function in node.functions
        if not function.transition_only
    } | {
        action.handler
        for node in config.nodes.values()
        for action in [*node.pre_actions, *node.post_actions]
        if action.handler
    }
    defined = {
        name
        for name, function in inspect.getmembers(handlers, inspect.iscoroutinefunction)
        if function.__module__ == handlers.__name__
    }
    assert defined == used


def test_the_prompts_stand_in_the_yaml_and_name_the_language() -> None:
    config = load_flow_config()
    role = config.nodes["greeting"].role_message or ""
    assert "{{ language }}" in role
    for name in ("conversation", "wrap_up"):
        assert len(config.nodes[name].task_messages[0].content) > 100


def test_where_a_call_can_end_there_is_a_line_for_it() -> None:
    ends_silently = {
        EndReason.CLIENT_LEFT,
        EndReason.SHUTDOWN,
        EndReason.ERASED,
        EndReason.CRASHED,
        EndReason.TAKEN_OVER,
    }
    for language in Language:
        farewells = Lines(language)
        for reason in set(EndReason) - ends_silently:
            assert farewells.text(f"farewell.{reason}")


def test_the_model_is_not_offered_what_only_events_take() -> None:
    unused: Any = None
    driver = FlowDriver(unused, handlers)
    config = load_flow_config()
    for name, node in config.nodes.items():
        offered = {schema.name for schema in driver.offered_to_model(name)}
        for function in node.functions:
            if function.transition_only:
                event_only = (function.description or "").rstrip().endswith(EVENT_ONLY)
                assert (function.name in offered) is not event_only
    memory = {"remember", "forget", "allow_memory", "allow_recording"}
    offered = {schema.name for schema in driver.offered_to_model("conversation")}
    assert offered == {"look_up", "look", "wrap_up", *memory}
    without = FlowDriver(unused, handlers, without=memory)
    offered = {schema.name for schema in without.offered_to_model("conversation")}
    assert offered == {"look_up", "look", "wrap_up"}
    assert {schema.name for schema in driver.offered_to_model("wrap_up")} == {
        "resume_conversation",
        "say_goodbye",
    }


def test_no_python_names_a_destination() -> None:
    """Where a function leads is written in the YAML alone."""
    source = Path(inspect.getfile(handlers)).read_text("utf-8")
    returns = [line.strip() for line in source.splitlines() if line.strip().startswith("return {")]
    assert returns
    assert all(line.endswith("TRANSITION_IN_YAML") for line in returns)
    assert "set_node" not in source

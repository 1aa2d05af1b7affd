"""A mistake in `flows/` is named by file, node and function, in one line, in two languages."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from flows import handlers
from sonora_app.cli import app
from sonora_app.errors import SettingsError
from sonora_app.flow import check, driver
from sonora_app.flow.check import check_flows
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.flow.picture.diagram import load_graph
from sonora_app.wording.translation import in_spanish

pytestmark = pytest.mark.flow

Tree = dict[str, Any]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A copy of `flows/`, to be spoilt."""
    return Path(shutil.copytree(FLOWS_DIR, tmp_path / "flows"))


def spoil(flows: Path, change: Callable[[Tree], object], name: str = "sonora.yaml") -> None:
    tree = yaml.safe_load((flows / name).read_text("utf-8"))
    change(tree)
    (flows / name).write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")


def told(flows: Path) -> str:
    """What is said of the flow: one line, which is another in Spanish."""
    with pytest.raises(SettingsError) as refused:
        check_flows(flows)
    message = refused.value.message
    assert "\n" not in message
    assert in_spanish(message) != message
    assert "flows/sonora.yaml" in refused.value.hint
    return message


def test_the_flow_that_is_there_has_none() -> None:
    check_flows()


def test_the_page_that_adds_a_node_leads_to_a_flow_without_mistakes(flows: Path) -> None:
    page = FLOWS_DIR.parent / "docs" / "yours.md"
    blocks = re.findall(r"^```(?:yaml|python)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    way, node, handler = blocks
    flow = (flows / "sonora.yaml").read_text("utf-8")
    flow, ways = re.subn(r"      - name: say_goodbye\n(?:        .*\n)+", way, flow)
    flow, nodes = re.subn(r"(?m)^  # One closing line", rf"{node}\n\g<0>", flow)
    assert (ways, nodes) == (1, 1)
    (flows / "sonora.yaml").write_text(flow, "utf-8")

    assert "node rating, function rate has no handler" in told(flows)
    with (flows / "handlers.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{handler}")
    check_flows(flows)


def at(node: str, function: str) -> Callable[[Tree], Tree]:
    def find(tree: Tree) -> Tree:
        return next(one for one in tree["nodes"][node]["functions"] if one["name"] == function)

    return find


WRAP_UP = at("conversation", "wrap_up")
WAITING = at("waiting", "set_conversation_id")
FINISHED = at("greeting", "greeting_finished")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda tree: WRAP_UP(tree).update(transition_to="wrapup"),
            "node conversation, function wrap_up leads to wrapup, which is no node",
        ),
        (
            lambda tree: WAITING(tree)["transition_to"]["cases"].update(ready="greet"),
            "node waiting, function set_conversation_id leads to greet, which is no node",
        ),
        (
            lambda tree: WAITING(tree)["transition_to"].update(default="nowhere"),
            "node waiting, function set_conversation_id leads to nowhere, which is no node",
        ),
        (
            lambda tree: WAITING(tree)["transition_to"].pop("field"),
            "node waiting, function set_conversation_id leads by cases, and has no field",
        ),
        (
            lambda tree: WRAP_UP(tree).update(name="wrap_it_up"),
            "node conversation, function wrap_it_up has no handler in flows/handlers.py",
        ),
        (
            lambda tree: WRAP_UP(tree).update(transitions_to="wrap_up"),
            "node conversation, function wrap_up has an unknown key transitions_to",
        ),
        (
            lambda tree: WRAP_UP(tree).update(description="Ends the talk."),
            "node conversation, function wrap_up has a description here",
        ),
        (
            lambda tree: FINISHED(tree).pop("description"),
            "node greeting, function greeting_finished is transition_only, and needs",
        ),
        (
            lambda tree: FINISHED(tree).pop("transition_to"),
            "node greeting, function greeting_finished is transition_only, and needs",
        ),
        (
            lambda tree: tree["nodes"]["conversation"]["functions"].append({"name": "wrap_up"}),
            "node conversation, function wrap_up is there twice",
        ),
        (
            lambda tree: tree["nodes"]["greeting"].update(respond_inmediately=False),
            "node greeting has an unknown key respond_inmediately",
        ),
        (
            lambda tree: tree["nodes"]["wrap_up"].pop("task_messages"),
            "node wrap_up has no list of task_messages",
        ),
        (lambda tree: tree["nodes"].update(later=None), "node later is empty"),
        (
            lambda tree: tree["nodes"]["farewell"]["post_actions"][0].update(handler="hang_up"),
            "node farewell, action end_call has no handler hang_up in flows/handlers.py",
        ),
        (
            lambda tree: tree.update(initial_node="start"),
            "the initial node start does not exist",
        ),
        (
            lambda tree: tree.update(global_functions=[{"name": "end_of_call"}]),
            "global function end_of_call has no handler",
        ),
        (lambda tree: tree.update(start="waiting"), "flows/sonora.yaml has an unknown key start"),
        (lambda tree: tree.pop("nodes"), "flows/sonora.yaml has no nodes"),
    ],
)
def test_a_mistake_is_named(flows: Path, change: Callable[[Tree], object], expected: str) -> None:
    spoil(flows, change)

    assert expected in told(flows)


@pytest.mark.parametrize(
    ("written", "read"), [("no", "false"), ("yes", "true"), ("10:30", "630"), ("010", "8")]
)
def test_a_case_that_yaml_reads_as_another_is_named_with_its_line(
    flows: Path, written: str, read: str
) -> None:
    lines = write_case(flows, written)

    line = lines.index(f"            {written}: greeting") + 1
    expected = f"function set_conversation_id has the case {written}, which YAML reads as {read}"
    assert f"flows/sonora.yaml, line {line}: {expected}" in told(flows)


@pytest.mark.parametrize("written", ['"no"', "si", "true", "False", "09:30", '"10:30"', "10"])
def test_a_case_that_is_what_is_written_is_none(flows: Path, written: str) -> None:
    write_case(flows, written)

    check_flows(flows)


def write_case(flows: Path, written: str) -> list[str]:
    """Write one more case into the flow, as it stands here. Returns the lines of the file."""
    path = flows / "sonora.yaml"
    text = path.read_text("utf-8")
    ready = "            ready: greeting\n"
    assert ready in text
    path.write_text(text.replace(ready, f"{ready}            {written}: greeting\n"), "utf-8")
    return path.read_text("utf-8").splitlines()


def test_several_mistakes_are_told_and_many_counted(flows: Path) -> None:
    def change(tree: Tree) -> None:
        for node in ("waiting", "greeting", "conversation", "wrap_up", "farewell"):
            tree["nodes"][node]["colour"] = "blue"

    spoil(flows, change)
    message = told(flows)

    assert message.count("unknown key colour") == 3
    assert "and 2 more" in message


@pytest.mark.parametrize("name", ["sonora.yaml", "lines/es.yaml", "summary.yaml"])
def test_what_is_no_yaml_is_named_with_its_line(flows: Path, name: str) -> None:
    text = (flows / name).read_text("utf-8")
    (flows / name).write_text(f"{text}\nunclosed: [1, 2\n", "utf-8")

    line = len(text.splitlines()) + 1
    message = told(flows)
    assert f"flows/{name}, line " in message
    assert int(message.split("line ")[1].split(":")[0]) >= line


@pytest.mark.parametrize("name", ["sonora.yaml", "lines/en.yaml", "summary.yaml"])
def test_a_file_that_is_not_there_or_empty_is_named(flows: Path, name: str) -> None:
    (flows / name).write_text("", "utf-8")
    assert f"flows/{name} is empty" in told(flows)
    (flows / name).unlink()
    assert f"flows/{name} cannot be read" in told(flows)


def test_a_file_that_is_not_in_utf_8_is_named(flows: Path) -> None:
    path = flows / "lines" / "es.yaml"
    path.write_bytes(path.read_text("utf-8").encode("latin-1", errors="replace"))

    assert "flows/lines/es.yaml cannot be read" in told(flows)


def test_a_line_that_one_language_lacks_is_named(flows: Path) -> None:
    spoil(flows, lambda tree: tree.pop("farewell"), "lines/en.yaml")

    assert "flows/lines/en.yaml has no farewell" in told(flows)


def test_handlers_that_do_not_parse_are_named_with_the_line(flows: Path) -> None:
    path = flows / "handlers.py"
    text = path.read_text("utf-8")
    path.write_text(f"{text}\ndef broken(:\n", "utf-8")

    assert f"flows/handlers.py, line {len(text.splitlines()) + 2}: " in told(flows)


OLDER = {
    "initial_node": "start",
    "nodes": {
        "start": {
            "role_messages": [{"role": "system", "content": "You are kind."}],
            "task_messages": [{"role": "system", "content": "Greet."}],
            "functions": [
                {
                    "type": "function",
                    "function": {
                        "name": "go_on",
                        "handler": "__function__:go_on",
                        "description": "Go on.",
                        "parameters": {"type": "object", "properties": {}},
                        "transition_to": "start",
                    },
                }
            ],
        }
    },
}


@pytest.mark.parametrize("lacks", ["", "role_messages", "functions"])
def test_the_older_form_of_the_editor_is_called_that(flows: Path, lacks: str) -> None:
    older = json.loads(json.dumps(OLDER))
    older["nodes"]["start"].pop(lacks, None)
    (flows / "sonora.yaml").write_text(json.dumps(older, indent=2), "utf-8")

    assert "has the older JSON form of the Flows editor" in told(flows)


def test_all_who_load_the_flow_tell_the_same(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(flows, lambda tree: WRAP_UP(tree).update(transition_to="wrapup"))
    driver.load_flow_config.cache_clear()
    monkeypatch.setattr(check, "FLOWS_DIR", flows)
    expected = told(flows)
    try:
        with pytest.raises(SettingsError) as refused:
            load_graph(handlers)
        shown = CliRunner().invoke(app, ["flow"])
        checked = CliRunner().invoke(app, ["doctor", "--json"])
    finally:
        driver.load_flow_config.cache_clear()

    assert refused.value.message == expected
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert expected in shown.stderr.splitlines()
    found = {check["name"]: check["found"] for check in json.loads(checked.stdout)["checks"]}
    assert found["Flow"] == expected


def test_what_pipecat_alone_finds_is_one_line_too(
    flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(flows, lambda tree: tree["nodes"]["waiting"].update(respond_immediately="maybe"))
    check_flows(flows)
    driver.load_flow_config.cache_clear()
    monkeypatch.setattr(driver, "FLOW_FILE", flows / "sonora.yaml")
    try:
        with pytest.raises(SettingsError) as refused:
            load_graph(handlers)
    finally:
        driver.load_flow_config.cache_clear()

    assert "\n" not in refused.value.message
    assert "waiting" in refused.value.message

"""`sonora flow`."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import handlers
from sonora_app.cli import app
from sonora_app.flow.picture import diagram as flow_diagram
from sonora_app.flow.picture.diagram import as_mermaid, load_graph

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command must not depend on the folder it is run in."""
    monkeypatch.chdir(tmp_path)


def test_each_format_on_stdout_is_clean() -> None:
    text = CliRunner().invoke(app, ["flow"])
    mermaid = CliRunner().invoke(app, ["flow", "--format", "mermaid"])
    as_json = CliRunner().invoke(app, ["flow", "--format", "json"])
    short = CliRunner().invoke(app, ["flow", "--json"])
    svg = CliRunner().invoke(app, ["flow", "--format", "svg"])

    assert text.stdout.startswith("waiting  a call starts here\n├─ ● set_conversation_id ")
    assert mermaid.stdout.startswith("stateDiagram-v2\n")
    assert {node["name"] for node in json.loads(as_json.stdout)["nodes"]} > {"waiting", "farewell"}
    assert short.stdout == as_json.stdout
    assert ElementTree.fromstring(svg.stdout).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_tools_are_shown_in_the_nodes_that_offer_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tools.yaml"
    file.write_text(
        "tools:\n- {name: find_table, description: Find a free table., nodes: [wrap_up], "
        "request: {url: 'http://localhost'}}\n"
        "mcp: [{name: hotel, url: 'http://localhost/mcp', tools: [rooms]}]\n"
    )
    monkeypatch.setenv("SONORA_TOOLS_FILE", str(file))
    nodes = json.loads(CliRunner().invoke(app, ["flow", "--json"]).stdout)["nodes"]
    offered = {node["name"]: node["stays"] for node in nodes}
    assert "hotel_rooms" in offered["conversation"]
    assert "find_table" in offered["wrap_up"]
    assert "find_table" not in offered["conversation"]
    assert "↺ hotel_rooms" in CliRunner().invoke(app, ["flow"]).stdout
    assert "find_table" in CliRunner().invoke(app, ["flow", "--format", "svg"]).stdout
    mermaid = CliRunner().invoke(app, ["flow", "--format", "mermaid"]).stdout
    assert "\n    note right of wrap_up\n        find_table\n    end note\n" in mermaid
    assert mermaid.startswith(as_mermaid(load_graph(handlers)))
    file.write_text(file.read_text().replace("[wrap_up]", "[nowhere]"))
    wrong = CliRunner().invoke(app, ["flow"])
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "tool find_table, nodes: nowhere is no node of the flow" in " ".join(
        wrong.stderr.split()
    )


def test_output_goes_to_the_file_as_it_would_to_stdout(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["flow", "--format", "svg"])
    result = CliRunner().invoke(app, ["flow", "--format", "svg", "--output", "flow.svg"])
    failed = CliRunner().invoke(app, ["flow", "--output", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "flow.svg").read_text("utf-8") == shown.stdout
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "cannot be written: Is a directory." in failed.stderr


def test_an_unknown_format_is_2() -> None:
    result = CliRunner().invoke(app, ["flow", "--format", "png"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "'text', 'mermaid', 'svg', 'json'" in result.stderr


def test_a_flow_without_its_handler_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = flow_diagram.load_flow_config().model_copy(deep=True)
    broken.nodes["conversation"].functions[0].name = "wrap_it_up"
    monkeypatch.setattr(flow_diagram, "load_flow_config", lambda: broken)
    result = CliRunner().invoke(app, ["flow"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert "wrap_it_up" in result.stderr
    assert "flows/handlers.py" in result.stderr


def test_as_a_process() -> None:
    """Pipecat greets on import: that stays off stdout, and `sonora` keeps it off stderr too."""
    result = subprocess.run(
        [sys.executable, "-m", "sonora_app.cli", "flow", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert json.loads(result.stdout)["edges"]
    assert result.stderr == ""

"""The types of the protocol, for a front end."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.page import protocol, protocol_types
from tests.unit.test_protocol import EXAMPLES, models

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
TYPES = ("examples/nextjs/sonora/protocol.d.ts", "sonora_app/console/src/call/protocol.d.ts")


@pytest.mark.parametrize("path", TYPES)
def test_the_types_are_current(path: str) -> None:
    """When this fails: `uv run sonora protocol --output`, and the path."""
    written = CliRunner().invoke(app, ["protocol"])

    assert written.stdout == (PROJECT / path).read_text("utf-8")


def test_every_message_is_there() -> None:
    events = {name for name, model in models().items() if issubclass(model, protocol.Event)}
    arguments = {name for name, model in models().items() if issubclass(model, protocol.Inbound)}

    assert {event.__name__ for event in protocol.EVENTS} == events
    assert {action.arguments.__name__ for action in protocol.ACTIONS.values()} == arguments
    assert models().keys() <= protocol_types.json_schema()["$defs"].keys()


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_json_schema_takes_each_documented_message(name: str, example: str) -> None:
    schema = json.loads(CliRunner().invoke(app, ["protocol", "--json"]).stdout)
    validator = Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"})

    assert list(validator.iter_errors(json.loads(example))) == []
    assert not validator.is_valid({**json.loads(example), "no_such_field": 1})


def test_a_field_of_an_unknown_kind_is_told_rather_than_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Listed(protocol.Event):
        names: tuple[str, int]

    monkeypatch.setattr(protocol_types, "EVENTS", (Listed,))
    with pytest.raises(ValueError, match="array"):
        protocol_types.as_typescript()

"""The protocol's document and its models say the same."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from sonora_app.errors import ErrorCode
from sonora_app.page import protocol
from sonora_app.page.envelopes import RtviMessage, parse_rtvi_message

pytestmark = pytest.mark.unit

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text("utf-8")
EXAMPLES = re.findall(r"<!-- example: (\w+) -->\n```json\n(.*?)```", DOCUMENT, re.DOTALL)
BASES = {protocol.Inbound, protocol.Outbound, protocol.Event}


def models() -> dict[str, type[BaseModel]]:
    return {
        name: model
        for name, model in vars(protocol).items()
        if isinstance(model, type)
        and issubclass(model, (protocol.Inbound, protocol.Outbound))
        and model not in BASES
    }


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_each_example_is_what_its_model_says(name: str, example: str) -> None:
    data = json.loads(example)
    read = models()[name].model_validate(data)
    assert read.model_dump(mode="json", exclude_none=True) == data


def test_every_model_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(models())


def test_every_error_code_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert {code.value for code in ErrorCode} <= documented


def test_the_envelope_is_read() -> None:
    envelope = json.loads(re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[1])  # type: ignore[index]
    message = parse_rtvi_message(envelope)
    assert isinstance(message, RtviMessage)
    assert message.type == "client-message"


def test_the_limits_in_the_document_are_the_ones_enforced() -> None:
    assert f"{protocol.MAX_MESSAGE_BYTES:,} bytes" in DOCUMENT
    assert f"1 to {protocol.MAX_TEXT_CHARS:,} characters" in DOCUMENT


@pytest.mark.parametrize(
    "arguments",
    [
        {"conversation_id": "not-a-uuid", "user_id": "ana"},
        {"user_id": ""},
        {"user_id": "x" * 201},
        {"user_id": "ana", "language": "xx"},
        {"user_id": "ana", "surprise": 1},
        {"user_id": ["ana"]},
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        protocol.SetConversationId.model_validate(arguments)


def test_a_token_shows_in_no_representation() -> None:
    claim = protocol.SetConversationId.model_validate({"user_id": "a", "access_token": "s3cr3t"})
    assert "s3cr3t" not in repr(claim)
    assert "s3cr3t" not in str(claim)
    assert "s3cr3t" not in claim.model_dump_json()

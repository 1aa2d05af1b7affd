"""The scripted interlocutor's use of tools: which it calls, with what, and what it says of it."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from sonora_app.flow.lines import Lines
from sonora_app.flow.quoted import quoted
from sonora_app.rehearsal.script import next_move
from sonora_app.rehearsal.tools import OfferedTool
from sonora_app.rehearsal.turns import CallTool, Say, read_turns
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

ES, EN = Lines(Language.ES), Lines(Language.EN)
OAXACA = {"ciudad": "Oaxaca", "formato": "corto"}
LIMA = {"ciudad": "lima", "unidad": "kelvin", "formato": "corto"}
TOMORROW = (date.today() + timedelta(days=1)).isoformat()
FIND = OfferedTool(
    "find_table",
    "Find a free table for a day and a number of people. Look before a booking.",
    {
        "day": {"type": "string", "format": "date", "description": "The day, as YYYY-MM-DD."},
        "people": {"type": "integer", "minimum": 1, "maximum": 12},
    },
    ["day", "people"],
)
CANCEL = OfferedTool(
    "cancel_booking",
    "Cancel a booking by its code.",
    {"code": {"type": "string"}, "confirmed_by": {"type": "string"}},
    ["code"],
)
CALL_OFF = OfferedTool("cancel_tool", "Call off a tool that is still running.")
WEATHER = OfferedTool(
    "tiempo",
    "El tiempo que hará en una ciudad.",
    {
        "ciudad": {"type": "string"},
        "unidad": {"type": "string", "enum": ["celsius", "kelvin"]},
        "detalle": {"type": "boolean"},
        "formato": {"type": "string", "examples": ["corto"]},
    },
    ["ciudad", "formato"],
)

Message = dict[str, Any]


def move(messages: list[Message], lines: Lines = EN) -> Say | CallTool:
    turns = read_turns(LLMContext(messages=list(messages)).get_messages())
    return next_move(turns, {"wrap_up"}, lines, [FIND, CANCEL, WEATHER, CALL_OFF])


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def called(name: str, arguments: Message, result: Message) -> list[Message]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [
        {"role": "assistant", "tool_calls": [{"id": "1", "function": function}]},
        {"role": "tool", "tool_call_id": "1", "content": json.dumps(result)},
    ]


def late(result: Message, lines: Lines = EN) -> Message:
    facts = {"name": "find_table", "arguments": quoted("{}"), "result": quoted(json.dumps(result))}
    return {"role": "developer", "content": lines.text("prompt.tool.late", facts)}


@pytest.mark.parametrize(
    ("text", "lines", "name", "arguments"),
    [
        ("Find a table for 4.", EN, "find_table", {"day": TOMORROW, "people": 4}),
        (
            "is a table free on 2026-12-04 for two",
            EN,
            "find_table",
            {"day": "2026-12-04", "people": 2},
        ),
        ("find table", EN, "find_table", {"day": TOMORROW, "people": 1}),
        ("Please cancel the booking, code B77", EN, "cancel_booking", {"code": "B77"}),
        ("¿Qué tiempo hará en Oaxaca?", ES, "tiempo", OAXACA),
        (
            "tiempo en lima en kelvin",
            ES,
            "tiempo",
            {"ciudad": "lima", "unidad": "kelvin", "formato": "corto"},
        ),
    ],
)
def test_words_of_a_tool_call_it(text: str, lines: Lines, name: str, arguments: Message) -> None:
    assert move([user(text)], lines) == CallTool(name, arguments)


@pytest.mark.parametrize("text", ["I sat at the table.", "Tell me of a free day", "hello", ""])
def test_other_words_call_none(text: str) -> None:
    assert isinstance(move([user(text)]), Say)


def test_what_came_of_it_is_said_once_whenever_it_comes() -> None:
    done = {"status": "done", "result": "Table 4"}
    asked = [user("find table"), *called("find_table", {}, done)]
    said = move(asked)
    assert isinstance(said, Say)
    assert said.text == "The tool answers: Table 4"
    told = {"role": "assistant", "content": said.text}
    assert "Table 4" not in str(move([*asked, told, user("Thank you for that")]))

    slow = [user("find table"), *called("find_table", {}, {"status": "running", "note": "…"})]
    meanwhile = [*slow, user("How are you?")]
    first = move(meanwhile)
    assert isinstance(first, Say)
    assert "How are you" in first.text
    talked = [*meanwhile, {"role": "assistant", "content": first.text}]
    for lines in (EN, ES):
        assert "Table 4" in str(move([*talked, late(done, lines)], lines))
    both = move([*slow, late(done), user("How are you?")])
    assert isinstance(both, Say)
    assert both.text.index("How are you") < both.text.index("Table 4")


def test_one_that_has_to_be_confirmed_is_called_again_after_a_yes_alone() -> None:
    waits = {"status": "to_be_confirmed", "note": "…"}
    asked = [user("cancel booking B77"), *called("cancel_booking", {"code": "B77"}, waits)]
    question = move(asked)
    assert question == Say("Shall I call cancel_booking with code B77?")
    asked.append({"role": "assistant", "content": question.text})
    assert move([*asked, user("Yes, please.")]) == CallTool("cancel_booking", {"code": "B77"})
    assert isinstance(move([*asked, user("Wait, I am not so sure")]), Say)


@pytest.mark.parametrize(
    ("status", "words"), [("called_off", "I leave it"), ("unknown", "sent already")]
)
def test_what_takes_long_is_called_off_when_the_person_says_so(status: str, words: str) -> None:
    slow = [user("find table"), *called("find_table", {}, {"status": "running", "note": "…"})]
    wants = [*slow, user("Never mind.")]
    assert move(wants) == CallTool("cancel_tool")
    assert words in str(move([*wants, *called("cancel_tool", {}, {"status": status})]))
    # Nothing runs, another is asked for, or the result is there.
    assert isinstance(move([user("Never mind.")]), Say)
    assert move([*slow, user("cancel booking, code B77")]) == CallTool(
        "cancel_booking", {"code": "B77"}
    )
    done = {"status": "done", "result": "Table 4"}
    assert isinstance(move([*slow, late(done), user("Never mind.")]), Say)
    assert move([*slow, user("Déjalo.")], ES) == CallTool("cancel_tool")


def test_what_went_wrong_is_said() -> None:
    for result, words in (
        ({"status": "failed", "result": "The service refuses (404)."}, "not done"),
        ({"status": "unknown", "result": "", "note": "…"}, "not known"),
        ({"status": "refused", "mistakes": ["day: required"], "note": "…"}, "day: required"),
    ):
        said = move([user("find table"), *called("find_table", {}, result)])
        assert isinstance(said, Say)
        assert words in said.text


def test_all_words_of_a_name_count_for_more_than_many_of_a_description() -> None:
    wanted = move([user("Cancel the booking of a free table for a number of people on a day")])
    assert isinstance(wanted, CallTool)
    assert wanted.name == "cancel_booking"

"""What a model gives a function is made what the function takes."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonora_app.flow.arguments import MAX_CHARS, MAX_ITEMS, add_choices, usable

pytestmark = pytest.mark.unit

PROPERTIES: dict[str, dict[str, Any]] = {
    "summary": {"type": "string"},
    "topics": {"type": "array", "items": {"type": "string"}},
    "outcome": {"type": "string", "enum": ["resolved", "unresolved"]},
    "count": {"type": "integer"},
    "sure": {"type": "boolean"},
    "more": {"type": "object"},
}


@pytest.mark.parametrize(
    ("name", "given_value", "taken"),
    [
        ("summary", "  Irá en abril. ", "Irá en abril."),
        ("summary", ["Irá en abril.", "Quiere comer."], "Irá en abril. Quiere comer."),
        ("summary", {"text": "Irá.", "n": 1}, "Irá. 1"),
        ("summary", 7, "7"),
        ("summary", None, ""),
        ("summary", True, ""),
        ("summary", "a" * 10_000, "a" * MAX_CHARS),
        ("topics", "viajes, comida; Oaxaca", ["viajes", "comida", "Oaxaca"]),
        ("topics", "Oaxaca en abril", ["Oaxaca en abril"]),
        ("topics", ["viajes", None, ["comida"], 7], ["viajes", "comida", "7"]),
        ("topics", None, []),
        ("topics", 7, []),
        ("topics", ["a"] * 100, ["a"] * MAX_ITEMS),
        ("outcome", "resolved", "resolved"),
        ("outcome", "Resolved ", "resolved"),
        ("outcome", "solved", ""),
        ("outcome", ["resolved"], "resolved"),
        ("outcome", None, ""),
        ("count", "3", 3),
        ("count", "three", 0),
        ("count", 2.0, 2),
        ("sure", "true", True),
        ("sure", 1, False),
        ("more", "none", {}),
    ],
)
def test_an_argument_is_of_its_type(name: str, given_value: Any, taken: Any) -> None:
    assert usable({name: given_value}, PROPERTIES)[name] == taken


def test_what_is_missing_is_empty_and_what_is_extra_is_left_out() -> None:
    assert usable({"mood": "good"}, PROPERTIES) == {
        "summary": "",
        "topics": [],
        "outcome": "",
        "count": 0,
        "sure": False,
        "more": {},
    }


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(_ANYTHING | st.dictionaries(st.sampled_from([*PROPERTIES, "mood"]), _ANYTHING))
def test_whatever_is_given_each_argument_is_of_its_type(arguments: Any) -> None:
    taken = usable(arguments, PROPERTIES)
    assert taken.keys() == PROPERTIES.keys()
    assert isinstance(taken["summary"], str)
    assert all(isinstance(topic, str) and topic for topic in taken["topics"])
    assert taken["outcome"] in ("", "resolved", "unresolved")
    assert isinstance(taken["count"], int)


def test_choices_are_named_in_the_schema() -> None:
    async def function(
        outcome: Literal["resolved", "unresolved"], stars: Literal[1, 2], title: str
    ) -> None: ...

    properties: dict[str, dict[str, Any]] = {
        "outcome": {},
        "stars": {},
        "title": {"type": "string"},
    }
    add_choices(properties, function)
    assert properties["stars"] == {"type": "integer", "enum": [1, 2]}
    assert usable({"stars": "2"}, properties)["stars"] == 2
    assert usable({"stars": "3"}, properties)["stars"] is None
    assert properties["outcome"] == {"type": "string", "enum": ["resolved", "unresolved"]}
    assert properties["title"] == {"type": "string"}

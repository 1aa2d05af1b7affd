"""What is asked before a turn of the offline benchmark, and what no ear can tell apart in it."""

import pytest

from benchmarks.alike import fewest_cut
from benchmarks.asking import Asking
from benchmarks.ends import Heard, Silence
from sonora_app.settings import Language
from sonora_app.turns.endings.grammar import Ending
from sonora_app.turns.expectations.grammar import Asked, Expectations

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("a name spelt by a person", "G A R", {(Asked.SPELLING, None)}),
        ("a list by a person, with pauses of 0.8 s", "Una. Dos.", {(Asked.LIST, None)}),
        ("a few words by a person", "Una paloma", {(Asked.NOTHING, None)}),
        ("a short answer", "Sí", {(Asked.YES_OR_NO, None)}),
        ("a short answer", "El martes", {(Asked.NOTHING, None)}),
        ("numbers dictated by a person", "uno dos tres cero", {(Asked.NUMBER, 4)}),
        (
            "numbers dictated by a person",
            "uno dos tres cero uno",
            {(Asked.NUMBER, 5), (Asked.NUMBER, None)},
        ),
        ("numbers dictated by a person", "uno dos tres cero uno dos", {(Asked.NUMBER, 6)}),
        ("numbers dictated by a person", "uno dos tres uno dos uno dos", {(Asked.NUMBER, None)}),
    ],
)
def test_a_turn_answers_an_ordinary_question(
    kind: str, text: str, expected: set[tuple[Asked, int | None]]
) -> None:
    asking, expectations = Asking(), Expectations(Language.ES)
    questions = [asking.question(kind, text) for _ in range(6)]
    understood = [expectations.of(question) for question in questions]
    assert all(questions)
    assert len(set(questions)) > 1 or text == "El martes"
    assert {(each.asked, each.digits) for each in understood} == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a person's own pause, drawn out to 0.8 s", "Venus, un planeta"),
        ("pause of 0.8 s in mid-sentence", "Ayer fui al médico y me dijo que todo estaba bien"),
    ],
)
def test_nothing_is_asked_before_what_begins_a_talk(kind: str, text: str) -> None:
    assert Asking().question(kind, text) == ""


def _turn(kind: str, pauses: int) -> Heard:
    silences = [Silence(0.5, 0.5, Ending.WHOLE, Ending.WHOLE)] * pauses
    return Heard(kind, "Mexican", "", [*silences, Silence(None, 0.5, Ending.WHOLE, Ending.WHOLE)])


def test_what_sounds_alike_is_waited_for_alike() -> None:
    turns = [
        *[_turn("a name spelt by a person", 4)] * 2,
        *[_turn("numbers dictated by a person", 3)] * 2,
        *[_turn("a sentence by a person", 1)] * 4,
    ]
    # Of eight ends three may be waited for: both of letters, which have more pauses, and one of
    # two of digits. So of 18 pauses three are taken for an end, of digits all.
    assert fewest_cut(turns, 0.5, delay_secs=0.2, timeout_secs=1.0) == pytest.approx(16.7)
    assert fewest_cut(turns, 0.2, delay_secs=0.2, timeout_secs=1.0) == pytest.approx(77.8)
    assert fewest_cut(turns, 1.0, delay_secs=0.2, timeout_secs=1.0) == 0

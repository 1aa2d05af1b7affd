"""What is said over the bot without taking the turn, and what answers yes or no."""

import pytest

from sonora_app.settings import Language
from sonora_app.turns.replies.grammar import Replies

pytestmark = pytest.mark.unit

ACKNOWLEDGES = {
    Language.ES: (
        "Ajá.",
        "Sí, sí, claro.",
        "MHM",
        "Ya veo",
        "Uh-huh",
        "Ok, perfecto.",
        "¡Qué bien!",
    ),
    Language.EN: ("Uh-huh.", "Mm-hmm", "Yeah, right.", "Okay, I see.", "That’s right"),
}
TAKES_THE_TURN = {
    Language.ES: (
        "",
        "Espera.",
        "Para",
        "No, no.",
        "Sí, pero espera",
        "Oye",
        "Bueno",
        "Claro que no",
    ),
    Language.EN: ("", "Wait.", "Stop", "No, no.", "Yeah but", "So", "Yes yes yes yes yes yes yes"),
}
ANSWERS = {
    Language.ES: ("Sí.", "No, gracias.", "Si, claro.", "Creo que sí", "Ajá"),
    Language.EN: ("Yes, please.", "Nope", "I don't think so.", "Sure"),
}
SAYS_MORE = {
    Language.ES: ("Sí, el martes", "No puedo", "El martes"),
    Language.EN: ("Yes, on Tuesday", "No idea what that is", "Tuesday"),
}


def _each(phrases: dict[Language, tuple[str, ...]]) -> list[tuple[Language, str]]:
    return [(language, text) for language, texts in phrases.items() for text in texts]


@pytest.mark.parametrize(("language", "text"), _each(ACKNOWLEDGES))
def test_such_words_take_no_turn(language: Language, text: str) -> None:
    assert Replies(language).only_acknowledges(text)


@pytest.mark.parametrize(("language", "text"), _each(TAKES_THE_TURN))
def test_any_others_do(language: Language, text: str) -> None:
    assert not Replies(language).only_acknowledges(text)


@pytest.mark.parametrize(
    ("text", "may"),
    [("Por", True), ("Sí, muy", True), ("Uh", True), ("No", False), ("Para", False), ("El", False)],
)
def test_words_may_be_the_beginning_of_such(text: str, *, may: bool) -> None:
    assert Replies(Language.ES).only_acknowledges(text, begun=True) is may
    assert not Replies(Language.ES).only_acknowledges(text)


@pytest.mark.parametrize(("language", "text"), _each(ANSWERS))
def test_such_words_answer_yes_or_no(language: Language, text: str) -> None:
    assert Replies(language).answers(text)


@pytest.mark.parametrize(("language", "text"), _each(SAYS_MORE))
def test_more_may_follow_any_others(language: Language, text: str) -> None:
    assert not Replies(language).answers(text)


@pytest.mark.parametrize(
    ("text", "gist", "so_far"),
    [
        ("No, muchas gracias.", "no", "no"),
        ("No. Muchas.", "no muchas", "no"),
        ("Sí, por favor, gracias", "si", "si"),
        ("Sí, por la tarde", "si por la tarde", "si por la tarde"),
        ("Gracias.", "gracias", "gracias"),
        ("", "", ""),
    ],
)
def test_thanks_and_a_please_leave_an_answer_the_same(text: str, gist: str, so_far: str) -> None:
    assert Replies(Language.ES).gist(text) == gist
    assert Replies(Language.ES).gist(text, begun=True) == so_far

"""Which language a person speaks, by what the recogniser says of their words."""

import pytest
from pipecat.frames.frames import Frame, LLMUpdateSettingsFrame

from sonora_app.settings import Language
from sonora_app.turns.language_listener import LanguageListener
from sonora_app.turns.spoken_language import SpokenLanguage, telling_words, written_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I want to book a table.", {"want", "to", "book", "table"}),
        ("How are you?", {"how", "are", "you"}),
        ("Michael Jordan Smith", set[str]()),
        ("J O H N", set[str]()),
        ("No, no, no.", {"no"}),
        ("OK. 5 7 2. Me llamo José Luis.", {"me", "llamo"}),
        ("The Lord of the Rings", {"of", "the"}),
        ("don't know", {"don't", "know"}),
    ],
)
def test_names_letters_and_numbers_are_of_no_language(text: str, words: set[str]) -> None:
    assert telling_words(text) == words


@pytest.mark.parametrize("code", ["en", "en-US", "EN"])
def test_a_sentence_in_the_other_language_changes_it_and_one_changes_it_back(code: str) -> None:
    spoken = SpokenLanguage(Language.ES)
    assert not spoken.heard("Quiero planear un viaje.", "es")
    spoken.turn_ended()
    assert spoken.heard("Can we speak English?", code)
    assert spoken.language is Language.EN
    spoken.turn_ended()
    assert not spoken.heard("I want to plan a trip.", code)
    spoken.turn_ended()
    assert spoken.heard("Mejor seguimos en español.", "es")
    assert spoken.language is Language.ES


@pytest.mark.parametrize("text", ["OK.", "No. No, no.", "Michael Jordan.", "Yes, please."])
def test_a_word_or_two_change_nothing(text: str) -> None:
    spoken = SpokenLanguage(Language.ES)
    assert not spoken.heard(text, "en")
    spoken.turn_ended()
    assert not spoken.heard("Sí, claro.", "es")
    assert spoken.language is Language.ES


def test_two_short_turns_in_a_row_change_it_and_apart_they_do_not() -> None:
    apart, in_a_row = SpokenLanguage(Language.ES), SpokenLanguage(Language.ES)
    for spoken in (apart, in_a_row):
        assert not spoken.heard("Yes, please.", "en")
        spoken.turn_ended()
    assert not apart.heard("Gracias, muy amable.", "es")
    apart.turn_ended()
    assert not apart.heard("Thank you.", "en")
    assert in_a_row.heard("Thank you.", "en")


def test_the_language_of_most_of_a_turn_counts() -> None:
    spoken = SpokenLanguage(Language.ES)
    assert not spoken.heard("Quiero ver una película que se llama", "es")
    assert not spoken.heard("how to train your dragon", "en")
    spoken.turn_ended()
    # Begun in English, which changes it, and gone on with in Spanish.
    assert spoken.heard("I would like, sorry,", "en")
    assert spoken.heard("quiero una mesa para cuatro, por favor.", "es")
    assert spoken.language is Language.ES


def test_a_guess_is_judged_and_not_counted_twice() -> None:
    spoken = SpokenLanguage(Language.ES)
    assert not spoken.heard("Could you", "en", guessed=True)
    assert not spoken.heard("Could you", "en")
    spoken.turn_ended()
    spoken = SpokenLanguage(Language.ES)
    assert spoken.heard("Could you help me?", "en", guessed=True)
    assert not spoken.heard("Could you help me?", "en")
    assert spoken.language is Language.EN


@pytest.mark.parametrize("code", [None, "", "pt", "multi"])
def test_words_of_an_unknown_language_count_for_none(code: str | None) -> None:
    spoken = SpokenLanguage(Language.ES)
    assert not spoken.heard("Can we speak English, please?", code)
    assert not spoken.heard("Yes, of", "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Can we speak English?", Language.EN),
        ("tell me about oaxaca", Language.EN),
        ("I'd like a table for two", Language.EN),
        ("¿Podemos seguir en español?", Language.ES),
        ("cuentame mas de la playa", Language.ES),
        ("quiero ver The Lord of the Rings esta noche", Language.ES),
        ("No.", None),
        ("ok, hotel Palace", None),
        ("the beatles", None),
        ("", None),
        ("572", None),
    ],
)
def test_common_words_tell_in_which_language_a_text_is(
    text: str, language: Language | None
) -> None:
    assert written_in(text) is language


async def test_a_text_changes_the_language_as_speech_does() -> None:
    told: list[Language] = []

    def change(language: Language) -> list[Frame]:
        told.append(language)
        return [LLMUpdateSettingsFrame()]

    listener = LanguageListener(Language.ES)
    listener.change = change
    assert not listener.typed("yes please")
    assert listener.typed("tell me about the beach")
    assert not listener.typed("what can I eat there?")
    assert not listener.typed("gracias")
    assert listener.typed("mejor seguimos en español")
    assert told == [Language.EN, Language.ES]

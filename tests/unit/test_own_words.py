"""The bot's own words, heard ahead of the user's in one turn, are left out, and none of theirs."""

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    TTSSpeakFrame,
)

from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.own_words import OwnWords
from tests.unit.test_bot_speech import follow
from tests.unit.test_over_bot import STORY

pytestmark = pytest.mark.unit

OWN = "Montañas, playas, mercados"


@pytest.fixture
async def speech() -> BotSpeech:
    """A bot that tells a story."""
    speech = BotSpeech()
    await follow(speech, TTSSpeakFrame(STORY), BotStartedSpeakingFrame())
    return speech


async def test_words_that_were_its_own_are_left_out_to_the_end_of_the_turn(
    speech: BotSpeech,
) -> None:
    words = OwnWords(speech)
    for own in ("Mercados", "Mercados llenos de colores", "Mercados llenos de colores y una"):
        assert words.leave_out(own, over=False) == own  # nobody else has spoken yet
    so_far = "mercados llenos de colores y una espera"
    assert words.leave_out(so_far, over=False) == "espera"
    await follow(speech, InterruptionFrame())
    whole = "Mercados, llenos de colores y una. ¿Espera, y las playas?"
    assert words.leave_out(whole, over=True) == "¿Espera, y las playas?"
    # In the next turn they are the user's, who has the word now.
    again = "Mercados llenos de colores y una cosa más"
    assert words.leave_out(again, over=True) == again


async def test_what_was_recognised_otherwise_at_last_is_not_its_own(speech: BotSpeech) -> None:
    words = OwnWords(speech)
    assert words.leave_out("Mercados llenos de colores y una espera", over=False) == "espera"
    await follow(speech, InterruptionFrame())
    whole = "Mercados llenos de dolores y una espera"
    assert words.leave_out(whole, over=True) == whole


@pytest.mark.parametrize("said", ["Playas, sí, las playas", "Una cocina muy famosa, sí", "Colores"])
async def test_a_word_or_two_are_the_users_who_repeats_them(speech: BotSpeech, said: str) -> None:
    words = OwnWords(speech)
    assert words.leave_out(OWN, over=True) == OWN  # its voice comes back in this call
    for over in (False, True):
        assert words.leave_out(said, over=over) == said


async def test_three_are_its_own_only_where_its_voice_comes_back(speech: BotSpeech) -> None:
    words, said = OwnWords(speech), "Llenos de colores me gusta"
    assert words.leave_out(said, over=True) == said
    assert words.leave_out(OWN, over=True) == OWN
    assert words.leave_out(said, over=True) == "me gusta"


async def test_nothing_is_its_own_while_it_is_silent(speech: BotSpeech) -> None:
    words = OwnWords(speech)
    assert words.leave_out(OWN, over=True) == OWN
    await follow(speech, InterruptionFrame())
    said = "Mercados llenos de colores y una cocina, ¿dónde?"
    assert words.leave_out(said, over=True) == said


@pytest.mark.parametrize(
    ("heard", "own"),
    [
        ("llenos de colores y una", 5),
        ("mercado yenos colores", 3),
        ("o a jaca", 3),
        ("una cocina espera mejor", 2),
        ("espera mejor", 0),
        ("", 0),
    ],
)
async def test_of_what_comes_before_the_users_voice_its_own_words_are_known(
    speech: BotSpeech, heard: str, own: int
) -> None:
    words = OwnWords(speech)
    assert words.count_own(heard.split()) == 0  # its voice has not come back
    speech.own_voice.found = True
    assert words.count_own(heard.split()) == own


async def test_a_word_or_two_before_the_users_voice_are_the_bots_only_if_it_was_cut_off(
    speech: BotSpeech,
) -> None:
    words, few, more = OwnWords(speech), ["una", "cocina"], ["y", "una", "cocina"]
    speech.own_voice.found = True
    await follow(speech, InterruptionFrame(), BotStoppedSpeakingFrame())
    assert (words.count_own(few), words.count_own(more)) == (2, 3)
    await follow(speech, TTSSpeakFrame(STORY), BotStartedSpeakingFrame(), BotStoppedSpeakingFrame())
    assert (words.count_own(few), words.count_own(more)) == (0, 3)
    await follow(speech, TTSSpeakFrame("¿El lunes o el martes?"), BotStartedSpeakingFrame())
    assert words.count_own(["el", "martes"]) == 0

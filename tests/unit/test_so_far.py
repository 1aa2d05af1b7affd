"""What is known of a turn that is not over."""

import pytest

from sonora_app.turns.so_far import SoFar

pytestmark = pytest.mark.unit


def test_words_that_are_announced_after_all_was_transcribed_are_new() -> None:
    so_far = SoFar()
    so_far.announced(speaking=True)
    assert not so_far.spoken_anew  # the words before the pause, which are late
    so_far.heard("L.", finalized=True)
    so_far.announced(speaking=True)
    so_far.announced(speaking=True)
    assert so_far.spoken_anew
    so_far.heard("O.", finalized=True)
    assert not so_far.spoken_anew
    assert so_far.text == "L. O."


def test_who_goes_on_is_no_longer_told_by_the_words() -> None:
    so_far = SoFar()
    so_far.heard("L.", finalized=True)
    so_far.announced(speaking=True)
    so_far.goes_on()
    assert not so_far.spoken_anew

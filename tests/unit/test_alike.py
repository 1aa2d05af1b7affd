"""What a recogniser makes of the bot's own voice is known for it, and what the user says is not."""

import pytest

from sonora_app.turns.alike import are_alike
from sonora_app.turns.replies.grammar import words_of

pytestmark = pytest.mark.unit

SAID = words_of("Oaxaca tiene montañas, playas, mercados llenos de colores, una cocina famosa.")


@pytest.mark.parametrize(
    "heard",
    [
        "Oaxaca tiene montañas, playas",
        "o a jaca",
        "o a jaca montaña",
        "Oaxaca playas",
        "tiene montaña",
        "cochina famosas",
        "mercados colores famosa",
    ],
)
def test_words_that_are_missing_or_changed_are_those_that_were_said(heard: str) -> None:
    assert are_alike(words_of(heard), SAID)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Espera",
        "No",
        "Para",
        "Sí",
        "Espera mejor háblame de la comida",
        "Me gusta la playa",
        "¿Y la comida?",
        "Cuéntame qué hay en Oaxaca",
        "Famosa cocina de playas",
        "No, mercados",
        "Sí, Oaxaca",
    ],
)
def test_other_words_and_another_order_are_not(said: str) -> None:
    assert not are_alike(words_of(said), SAID)


def test_of_what_is_long_the_end_tells() -> None:
    long = " ".join(SAID) * 2
    assert are_alike(words_of(long), words_of(long))
    assert not are_alike(
        words_of(f"{long} pero yo quiero saber cuánto cuesta llegar hasta ahí"), SAID
    )


def test_what_ends_amid_a_word_is_alike_only_where_more_may_come() -> None:
    for heard in ("o a", "tiene mon"):
        assert are_alike(words_of(heard), SAID, begun=True)
        assert not are_alike(words_of(heard), SAID)
    assert not are_alike(words_of("espe"), SAID, begun=True)

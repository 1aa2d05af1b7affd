"""Whether the last words of a transcript leave a sentence open, in both languages."""

import pytest

from sonora_app.settings import Language
from sonora_app.turns.endings.grammar import Ending, Endings

pytestmark = pytest.mark.unit

OPEN = {
    Language.ES: (
        "Mándaselo a la",
        "Estoy buscando un",
        "Es una carta de mi",
        "Vengo desde",
        "Tráeme un café sin.",  # the recogniser's full stop, put where it is cut off
        "Yo iría, pero",
        "Avísame cuando.",
        "Y entonces le dije que",
        "La casa es muy",
        "Hay una en cada",
        "Buenas tardes, quisiera",
        "Buenos días, mi nombre es",
        "Quiero una habitación, eh",
        "Mmm.",
        "No me va bien, o sea",
        "Compra tomates,",
        "Verás…",
        "Verás...",
    ),
    Language.EN: (
        "Send it to the",
        "I'd like to talk to my.",
        "We could go, but",
        "I don't know if",
        "She flew in from",
        "And then I’m",
        "Hello, my name is",
        "It was very",
        "Tomorrow, uhm.",
        "Um",
        "Some bread, some butter,",
        "You see…",
    ),
}
NUMBERS = {
    Language.ES: (
        "Somos tres",
        "Vivo en el número 14.",
        "ochenta y uno",
        "A la una",
        "Se escribe con hache",
    ),
    Language.EN: ("There are two", "It is 555-01", "Twenty dollars and fifty", "7"),
}
DICTATED = {
    Language.ES: (
        "+34 6",
        "Cinco. Cinco. Uno.",
        "G",
        "Se escribe G A.",
        "Necesito pan, leche, huevos.",
        "Necesito pan. Leche. Huevos.",
        "Primero quiero cambiar la cita.",
        "Hola. Por un lado está lejos.",
        "El hotel no sólo está lejos.",
        "No solo es caro, sino feo. Y el otro no solo es feo.",
    ),
    Language.EN: (
        "5 5 1",
        "It's L. O.",
        "I need bread, milk, eggs.",
        "First of all, it's far.",
        "It is not only far.",
    ),
}
WHOLE = {
    Language.ES: (
        "",
        "…",
        "Sí",
        "No.",
        "Ajá",
        "Vale",
        "No sé",
        "Creo que sí",
        "Es para él",
        "Busco un. Hotel. Cerca del. Centro.",
        "Me gusta. Mucho la. Comida. Picante.",
        "Eso es para mí",
        "Prefiero un té",
        "¿De quién es?",
        "¿Y la?",
        "¡Eh!",
        "Para.",
        "Una tarde en la playa",
        "Cinco euros",
        "A las 5 de la tarde",
        "El plan B",
        "Vamos mi hermana, mi madre y yo.",
        "Necesito pan, leche, y queso.",
        "Sí, claro, por supuesto.",
        "Primero quiero pagar, y eso es todo.",
        "El primero de abril",
        "No solo está lejos, sino que es caro.",
        "Estoy solo",
        "No solo lo digo yo. Ayer me lo contó mi hermana en casa de mi madre.",
        "Lo quiero",
        "No puedo",
    ),
    Language.EN: (
        "Yes",
        "Mm-hmm",
        "Uh-huh.",
        "I think so",
        "Turn it on",
        "Come in.",
        "What is it for?",
        "That one",
        "Because.",
        "Ten minutes",
        "At 5 pm",
        "I can't",
        "It's not only far but expensive",
    ),
}


def _each(phrases: dict[Language, tuple[str, ...]]) -> list[tuple[Language, str]]:
    return [(language, text) for language, texts in phrases.items() for text in texts]


@pytest.mark.parametrize(("language", "text"), _each(OPEN))
def test_a_sentence_does_not_end_in_such_words(language: Language, text: str) -> None:
    assert Endings(language).of(text) is Ending.OPEN


@pytest.mark.parametrize(("language", "text"), _each(NUMBERS))
def test_a_number_may_go_on(language: Language, text: str) -> None:
    assert Endings(language).of(text) is Ending.NUMBER


@pytest.mark.parametrize(("language", "text"), _each(DICTATED))
def test_a_row_of_such_things_most_likely_goes_on(language: Language, text: str) -> None:
    assert Endings(language).of(text) is Ending.DICTATED


@pytest.mark.parametrize(("language", "text"), _each(WHOLE))
def test_anything_else_may_be_the_end(language: Language, text: str) -> None:
    assert Endings(language).of(text) is Ending.WHOLE

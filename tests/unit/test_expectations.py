"""What the bot's questions ask for, and whether an answer has all of it."""

import pytest

from sonora_app.settings import Language
from sonora_app.turns.endings.grammar import Ending
from sonora_app.turns.expectations.grammar import Asked, Expectation, Expectations

pytestmark = pytest.mark.unit

ASKED = {
    Language.ES: (
        ("Tengo mesa el martes. ¿Te parece bien?", Expectation(Asked.YES_OR_NO)),
        ("¿Hay algo más?", Expectation(Asked.YES_OR_NO)),
        ("Queda el martes a las cinco, ¿de acuerdo?", Expectation(Asked.YES_OR_NO)),
        ("¿Tu número es el 55 12?", Expectation(Asked.YES_OR_NO)),
        ("¿Confirmo la reserva, sí o no?", Expectation(Asked.YES_OR_NO)),
        ("¿Estás lista?", Expectation(Asked.YES_OR_NO)),
        ("¿Cuál es tu número de teléfono?", Expectation(Asked.NUMBER)),
        ("Dime el código de seis dígitos.", Expectation(Asked.NUMBER, 6)),
        ("¿Me das tu teléfono? Despacio, sin prisa.", Expectation(Asked.NUMBER)),
        ("¿Me puedes decir el código de 4 cifras?", Expectation(Asked.NUMBER, 4)),
        ("¿Cómo se escribe tu apellido?", Expectation(Asked.SPELLING)),
        ("Deletréalo, por favor.", Expectation(Asked.SPELLING)),
        ("¿Cuál es tu dirección?", Expectation(Asked.ADDRESS)),
        ("¿Qué síntomas tienes?", Expectation(Asked.LIST)),
        ("Cuéntame qué pasó.", Expectation(Asked.STORY)),
        ("¿Quieres que te lo cuente?", Expectation(Asked.YES_OR_NO)),
        ("¿Hoy o mañana?", Expectation()),
        ("¿En qué te puedo ayudar?", Expectation()),
        ("Tu número es muy bonito.", Expectation()),
        ("¿Te gusta? Es de mi madre. Lo hizo ayer.", Expectation()),
        ("Muy bien.", Expectation()),
        ("", Expectation()),
    ),
    Language.EN: (
        ("Shall I book it?", Expectation(Asked.YES_OR_NO)),
        ("What's your phone number?", Expectation(Asked.NUMBER)),
        ("Please give me the six-digit code.", Expectation(Asked.NUMBER, 6)),
        ("Could you spell it for me?", Expectation(Asked.SPELLING)),
        ("Tell me what happened.", Expectation(Asked.STORY)),
        ("Today or tomorrow?", Expectation()),
        ("How can I help?", Expectation()),
    ),
}

YES_NO, CODE = "¿Te parece bien?", "Dime el código de seis dígitos."
ANSWERS = (
    (YES_NO, "Sí.", Ending.ANSWERED),
    (YES_NO, "No, gracias.", Ending.ANSWERED),
    (YES_NO, "Sí, pero", Ending.OPEN),
    (YES_NO, "Mejor el jueves.", Ending.WHOLE),
    ("Muy bien.", "Sí.", Ending.WHOLE),
    ("Muy bien.", "Una paloma.", Ending.BEGUN),
    ("Muy bien.", "Una paloma. Un sombrero verde.", Ending.BEGUN),
    ("Muy bien.", "Una paloma y un sombrero. Ya está.", Ending.WHOLE),
    ("Muy bien.", "La reina.", Ending.BEGUN),
    ("Muy bien.", "¡Una paloma. Algunos patos.", Ending.BEGUN),
    ("Muy bien.", "La luz se fue ayer.", Ending.WHOLE),
    ("Muy bien.", "Si no hay sitio el viernes.", Ending.BEGUN),
    ("Muy bien.", "Si no hay sitio el viernes, voy el sábado.", Ending.WHOLE),
    ("Muy bien.", "Si puedes.", Ending.BRIEF),
    ("Muy bien.", "Busco un regalo.", Ending.BRIEF),
    ("Muy bien.", "Júpiter", Ending.BRIEF),
    ("¿Qué quieres?", "Busco un regalo.", Ending.WHOLE),
    ("Muy bien.", "Muchas gracias, hasta luego.", Ending.WHOLE),
    ("Muy bien.", "Hola, buenos días.", Ending.WHOLE),
    ("Muy bien.", "¡Qué casa tan bonita!", Ending.WHOLE),
    ("Muy bien.", "", Ending.WHOLE),
    ("¿Cuándo vienes?", "Cuando llegue mi hermana.", Ending.WHOLE),
    ("¿Qué día? Hay sitio casi siempre.", "El martes.", Ending.WHOLE),
    ("Muy bien.", "Hasta luego.", Ending.WHOLE),
    ("Muy bien.", "¿Una paloma?", Ending.WHOLE),
    ("¿Qué quieres comer?", "Una manzana.", Ending.WHOLE),
    (CODE, "Siete cuatro", Ending.DICTATED),
    (CODE, "Es el 74 91", Ending.DICTATED),
    (CODE, "Siete cuatro nueve uno dos cero", Ending.ANSWERED),
    (CODE, "74. 91. 20.", Ending.ANSWERED),
    (CODE, "Sí, claro.", Ending.DICTATED),
    (CODE, "No lo tengo aquí.", Ending.WHOLE),
    ("¿Cuál es tu teléfono?", "Cincuenta y cinco", Ending.DICTATED),
    ("¿Cuál es tu teléfono?", "Es el 55 12 30", Ending.NUMBER),
    ("¿Cómo se escribe?", "Con ge", Ending.DICTATED),
    ("¿Cuál es tu dirección?", "Calle Hidalgo.", Ending.DICTATED),
    ("¿Cuál es tu dirección?", "Hidalgo 20, en el centro.", Ending.WHOLE),
    ("¿Qué síntomas tienes?", "Dolor de cabeza.", Ending.DICTATED),
    ("¿Qué síntomas tienes?", "Dolor de cabeza y fiebre.", Ending.WHOLE),
    ("¿Qué síntomas tienes?", "Tos, nada más.", Ending.WHOLE),
    ("Cuéntame qué pasó.", "Fui a la tienda.", Ending.DICTATED),
)


@pytest.mark.parametrize(
    ("language", "asked", "expected"),
    [(language, *each) for language, those in ASKED.items() for each in those],
)
def test_a_question_tells_what_comes(language: Language, asked: str, expected: Expectation) -> None:
    assert Expectations(language).of(asked) == expected


@pytest.mark.parametrize(("asked", "text", "ending"), ANSWERS)
def test_an_answer_ends_as_was_asked(asked: str, text: str, ending: Ending) -> None:
    assert Expectations(Language.ES, lambda: asked).ending(text) is ending

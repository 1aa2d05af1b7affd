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
        ("Hola de nuevo. ¿En qué te puedo ayudar hoy?", Expectation(Asked.ANYTHING)),
        ("¿Cuáles son las cuatro últimas de tu tarjeta?", Expectation(Asked.NUMBER, 4)),
        ("¿Me das los últimos cuatro dígitos de la cuenta?", Expectation(Asked.NUMBER, 4)),
        ("¿Cuáles son los cuatro dígitos?", Expectation(Asked.NUMBER, 4)),
        ("¿Qué pasó los últimos cuatro días?", Expectation(Asked.STORY)),
        ("¿Me dices tu DNI?", Expectation(Asked.NUMBER, 8, lettered=True)),
        ("¿Cuál es tu código postal?", Expectation(Asked.NUMBER)),
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
        ("How can I help you today?", Expectation(Asked.ANYTHING)),
        ("What are the last four digits of your card?", Expectation(Asked.NUMBER, 4)),
        ("What's your zip code?", Expectation(Asked.NUMBER, 5)),
    ),
}

YES_NO, CODE = "¿Te parece bien?", "Dime el código de seis dígitos."
TELEPHONE, DNI = "Dime tu teléfono, de nueve cifras.", "¿Me dices tu DNI?"
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
    ("¿En qué te puedo ayudar?", "Busco un regalo.", Ending.BRIEF),
    ("¿En qué te puedo ayudar?", "Una paloma.", Ending.BEGUN),
    (CODE, "Siete cuatro", Ending.OPEN),
    (CODE, "Es el 74 91", Ending.OPEN),
    (CODE, "Sí, el siete", Ending.OPEN),
    (CODE, "El código es.", Ending.DICTATED),
    (CODE, "No sé cuál es.", Ending.WHOLE),
    (CODE, "Solo tengo 74 91 de momento.", Ending.DICTATED),
    (CODE, "Siete cuatro doble nueve uno cero", Ending.ANSWERED),
    (CODE, "Siete cuatro triple nueve", Ending.OPEN),
    (CODE, "Siete cuatro, no, siete cinco nueve uno", Ending.NUMBER),
    (CODE, "74 91 20 y", Ending.OPEN),
    (CODE, "00 12 34", Ending.ANSWERED),
    (CODE, "Siete cuatro nueve uno dos cero", Ending.ANSWERED),
    (CODE, "74. 91. 20.", Ending.ANSWERED),
    (CODE, "Sí, claro.", Ending.DICTATED),
    (CODE, "No lo tengo aquí.", Ending.WHOLE),
    (TELEPHONE, "Sí, el seis dos", Ending.OPEN),
    (TELEPHONE, "620 15 88 31", Ending.ANSWERED),
    (TELEPHONE, "Cero cero treinta y cuatro seis dos cero uno cinco", Ending.NUMBER),
    (TELEPHONE, "+34 620 15 88", Ending.DICTATED),
    (DNI, "Doce treinta y cuatro", Ending.OPEN),
    (DNI, "12.345.678", Ending.DICTATED),
    (DNI, "12.345.678 zeta", Ending.ANSWERED),
    (DNI, "12 34 56 78 Z.", Ending.ANSWERED),
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

ENGLISH_CODE = "Please give me the six-digit code."
ENGLISH_ANSWERS = (
    ("How can I help?", "I need a table.", Ending.BRIEF),
    (ENGLISH_CODE, "Five five one", Ending.OPEN),
    (ENGLISH_CODE, "Five five one two three oh", Ending.ANSWERED),
    (ENGLISH_CODE, "Double five one two three oh", Ending.ANSWERED),
    (ENGLISH_CODE, "55 12, sorry, 13 30", Ending.NUMBER),
    ("What are the last four of your card?", "It's 55 12.", Ending.ANSWERED),
)


@pytest.mark.parametrize(
    ("language", "asked", "expected"),
    [(language, *each) for language, those in ASKED.items() for each in those],
)
def test_a_question_tells_what_comes(language: Language, asked: str, expected: Expectation) -> None:
    assert Expectations(language).of(asked) == expected


@pytest.mark.parametrize(
    ("language", "asked", "text", "ending"),
    [
        *((Language.ES, *each) for each in ANSWERS),
        *((Language.EN, *each) for each in ENGLISH_ANSWERS),
    ],
)
def test_an_answer_ends_as_was_asked(
    language: Language, asked: str, text: str, ending: Ending
) -> None:
    assert Expectations(language, lambda: asked).ending(text) is ending

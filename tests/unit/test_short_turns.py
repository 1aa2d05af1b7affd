"""Short turns after no question: which are whole, and which people often go on with."""

import pytest

from sonora_app.settings import Language
from sonora_app.turns.endings.grammar import Ending
from sonora_app.turns.expectations.grammar import Expectations

pytestmark = pytest.mark.unit

WHOLE = {
    Language.EN: (
        "Stop the timer.",
        "Cancel it.",
        "Cancel my appointment.",
        "Repeat that.",
        "Say that again.",
        "Turn off the lights.",
        "Turn it down, please.",
        "Go back.",
        "Start over.",
        "Help me please.",
        "A coffee, please.",
        "Some water please.",
        "The bill, please.",
        "A table for two people please.",
        "Speak a bit louder.",
        "Slow down.",
        "Delete the last one.",
        "Send it.",
        "Close the window.",
        "Save the changes.",
        "Translate this.",
        "Do it again.",
        "One more time.",
        "Thanks for your help.",
        "That's fine, thanks.",
        "Sounds great.",
        "No problem.",
        "Me too.",
        "You're right.",
        "That’s not right.",
        "I agree.",
        "It doesn't matter.",
        "I can't hear you.",
        "Never mind.",
        "I don't think so.",
        "Hi there.",
        "Hello, good morning.",
        "Nice to meet you.",
        "Thank you so much.",
        "See you later.",
        "What's the weather like?",
        "Tell me a joke.",
        "What time is it.",
        "Are you there?",
        "That's amazing!",
    ),
    Language.ES: (
        "Cancélalo.",
        "Cancela la cita.",
        "Cuéntame un chiste.",
        "Dime la hora.",
        "Dime qué hora es.",
        "Repítelo por favor.",
        "Repite eso.",
        "Bórralo todo.",
        "Dímelo otra vez.",
        "Apaga la luz.",
        "Detén el temporizador.",
        "Vuelve a empezar.",
        "Hazlo.",
        "Olvídalo.",
        "Déjalo así.",
        "Mándamelo.",
        "Cierra la ventana.",
        "Guarda los cambios.",
        "Traduce esto.",
        "Ayúdame, por favor.",
        "Un café, por favor.",
        "Un café con leche por favor.",
        "La cuenta por favor.",
        "Más despacio, por favor.",
        "Habla más fuerte.",
        "Sigue.",
        "Otra vez.",
        "No hay problema.",
        "Yo también.",
        "Tienes razón.",
        "Estoy de acuerdo.",
        "No importa.",
        "No te oigo.",
        "Así está bien, gracias.",
        "Qué buena idea.",
        "Ya está.",
        "Creo que sí.",
        "No lo sé.",
        "Hola, buenas tardes.",
        "Gracias por todo.",
        "Muchas gracias, muy amable.",
        "Hasta mañana.",
        "No, muchas gracias.",
        "¿Qué hora es?",
        "¿Sigues ahí?",
        "¡Qué bonito!",
    ),
}
GOES_ON = {
    Language.EN: (
        "I need help.",
        "Tell me a story.",
        "Book a table.",
        "I'm looking for something.",
        "I want a refund.",
        "Remind me tomorrow.",
        "My order is late.",
        "Could you please",
        "A blue dress.",
    ),
    Language.ES: (
        "Necesito ayuda.",
        "Cuéntame un cuento.",
        "Dime el precio.",
        "Reserva una mesa.",
        "Busco un regalo.",
        "Quiero un reembolso.",
        "Para el martes.",
        "Mi pedido no llega.",
        "Me das por favor",
        "Quisiera, por favor",
        "Un vestido azul.",
    ),
}


def _each(phrases: dict[Language, tuple[str, ...]]) -> list[tuple[Language, str]]:
    return [(language, text) for language, texts in phrases.items() for text in texts]


def _ending(language: Language, text: str) -> Ending:
    said_before = "Very well." if language is Language.EN else "Muy bien."
    return Expectations(language, lambda: said_before).ending(text)


@pytest.mark.parametrize(("language", "text"), _each(WHOLE))
def test_nobody_waits_for_more_after_what_is_whole(language: Language, text: str) -> None:
    assert _ending(language, text) is Ending.WHOLE


@pytest.mark.parametrize(("language", "text"), _each(GOES_ON))
def test_a_beginning_has_time_to_go_on(language: Language, text: str) -> None:
    assert _ending(language, text) in (Ending.BRIEF, Ending.BEGUN)

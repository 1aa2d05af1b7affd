"""The voice gets the first words of an answer as soon as they are there."""

import re

import pytest

from sonora_app.vendors.cartesia.clauses import ClauseAggregator

pytestmark = pytest.mark.unit


async def _pieces(text: str) -> list[str]:
    """What the voice is sent of `text`, which comes token by token."""
    aggregator = ClauseAggregator()
    pieces: list[str] = []
    for token in re.findall(r"\s*[\w<>/]+|\S", text):
        pieces += [piece.text async for piece in aggregator.aggregate(token)]
    rest = await aggregator.flush()
    return [*pieces, *([rest.text] if rest else [])]


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [
        (
            "Claro, en abril es bonita. ¿Cuándo vas?",
            ["Claro,", "en abril es bonita.", "¿Cuándo vas?"],
        ),
        ("Hay dos: una, y otra; nada más.", ["Hay dos:", "una, y otra; nada más."]),
        (
            "En el centro hay hoteles. Buenos, además.",
            ["En el centro", "hay hoteles.", "Buenos, además."],
        ),
        ("Son 1,500 pesos, más o menos.", ["Son 1,500 pesos,", "más o menos."]),
        ("Sale a las 10:30 de aquí.", ["Sale a las", "10:30 de aquí."]),
        ("Son 20 30 o más.", ["Son 20 30 o", "más."]),
        ("Es <spell>A,B</spell>, creo.", ["Es <spell>A,B</spell>, creo."]),
        (", dijo, y se fue.", [", dijo,", "y se fue."]),
    ],
)
async def test_the_first_piece_is_cut_off(answer: str, pieces: list[str]) -> None:
    assert await _pieces(answer) == pieces


async def test_every_answer_begins_with_its_first_piece() -> None:
    aggregator = ClauseAggregator()

    async def begun(text: str) -> list[str]:
        return [piece.text async for piece in aggregator.aggregate(text)]

    assert await begun("Sí, claro") == ["Sí,"]
    await aggregator.flush()
    assert await begun("No, gracias") == ["No,"]
    await aggregator.handle_interruption()
    assert await begun("Bueno, adiós") == ["Bueno,"]

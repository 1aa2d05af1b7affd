"""Whether a bot waits for a turn to end, and how long: by kinds of turns that are hard to tell."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from benchmarks.contenders import both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.turns import Turn, Utterance, take_turn
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from tests.clients.webrtc import Page, page

Parts = Sequence[str | float]
"""Texts, and the pauses between them in seconds."""


@dataclass(frozen=True)
class Kind:
    """A kind of turn.

    Parameters:
        name: What is hard about it.
        turns: Examples.
        cut_target: How many of its turns Sonora may cut at most, as a ratio to the scaffold's.
        waste_limit: How many requests per turn Sonora may waste at most, in percent.
        wait_limit: How long Sonora's wait may be at most, in milliseconds.
    """

    name: str
    turns: Sequence[Parts]
    cut_target: float | None = None
    waste_limit: float | None = None
    wait_limit: float | None = None


PAUSES = (
    Kind(
        "pause of 0.8 s in mid-sentence",
        (
            ("Quiero reservar un hotel", 0.8, "para cuatro noches en abril"),
            ("El lunes que viene tengo que", 0.8, "llevar el coche al taller"),
            ("Me gustaría saber si", 0.8, "hay trenes directos a la costa"),
            ("Ayer fui al médico y", 0.8, "me dijo que todo estaba bien"),
        ),
        cut_target=1.0,
        waste_limit=50.0,
    ),
    Kind(
        "pause of 0.8 s where it could be over",
        (
            ("Quiero cambiar la cita", 0.8, "porque el jueves no puedo"),
            ("Busco un regalo", 0.8, "para el cumpleaños de mi hermana"),
            ("Llamé ayer por la tarde", 0.8, "pero nadie me contestó"),
        ),
        cut_target=1.0,
    ),
)
SHORT = (
    Kind(
        "left hanging, then nothing",
        (
            ("Hola, quisiera saber…",),
            ("Pues mira, es que…",),
            ("Quiero hablar de…",),
            ("Estaba pensando…",),
        ),
        wait_limit=2000.0,
    ),
    Kind(
        "a short answer",
        (("Sí",), ("No",), ("Ajá",), ("Claro que sí",), ("El martes",), ("A las cinco",)),
    ),
)
LONG = (
    Kind(
        "a list with commas",
        (
            ("Necesito pan, leche, huevos, y un poco de queso fresco",),
            ("Vamos mi hermana, mi madre, los niños, y yo",),
            ("Trabajo lunes, martes, jueves, y algunos sábados",),
        ),
    ),
    Kind(
        "numbers said slowly",
        (
            ("Mi número es el", 0.4, "cincuenta y cinco", 0.5, "doce treinta", 0.5, "cuarenta"),
            ("Son ciento veinte", 0.5, "punto treinta", 0.5, "y dos"),
            ("El código es", 0.4, "siete cuatro", 0.5, "nueve uno", 0.5, "dos"),
        ),
    ),
    Kind(
        "a filler",
        (
            ("Me gustaría, eh,", 0.5, "viajar en tren"),
            ("Bueno, pues,", 0.5, "creo que el martes"),
            ("Quería, este,", 0.5, "cambiar la fecha"),
            ("Podemos ir, a lo mejor,", 0.5, "en coche"),
        ),
    ),
)

VOICES = ("es-419", "es", "es-419+f2", "es+m3")
"""espeak-ng's, taken in turn."""


async def measure(kinds: Sequence[Kind], *, title: str, voices: int) -> Measurement:
    """Say every turn of every kind to both bots, and see what they make of it.

    Args:
        kinds: What to say.
        title: What the measurement is called.
        voices: How many of `VOICES` say each.
    """
    heard: dict[str, dict[str, list[Turn | None]]] = {kind.name: {} for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        async with serving_vendors() as vendors, both_running(Path(folder), vendors) as bots:
            vendors.otherwise = "Muy bien."
            vendors.delay(REALISTIC)
            for number, voice in enumerate(VOICES[:voices]):
                for contender, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url) as client:
                        await contender.join(client)
                        for kind in kinds:
                            for parts in kind.turns:
                                said = await Utterance.spoken(*parts, voice=voice)
                                turn = await _answered(client, vendors, said)
                                heard[kind.name].setdefault(contender.name, []).append(turn)
                                logger.info(f"{contender.name}, {voice}, “{said.text}”: {turn}")
    return Measurement(
        title=title,
        how="A turn is cut when the model is told it as two turns, or the bot is heard before its "
        "end. The wait is from the end of the last word to the first sound of the answer. A "
        "request to the model is wasted when it is not the one that was answered.",
        figures=[figure for kind in kinds for figure in _figures(kind, heard[kind.name])],
    )


async def _answered(client: Page, vendors: Vendors, said: Utterance) -> Turn | None:
    """The turn, or None when there was no answer."""
    try:
        return await take_turn(client, vendors, said)
    except TimeoutError:
        return None


def _figures(kind: Kind, all_turns: dict[str, list[Turn | None]]) -> list[Figure]:
    def share(count: int, of: Sequence[object]) -> float:
        return round(100 * count / len(of), 1) if of else 0.0

    turns = {name: [turn for turn in taken if turn] for name, taken in all_turns.items()}
    return [
        Figure(
            name=f"{kind.name}: cut in two",
            unit="%",
            values={
                name: [share(sum(turn.cut for turn in taken), taken)]
                for name, taken in turns.items()
            },
            target=kind.cut_target,
        ),
        Figure(
            name=f"{kind.name}: wait",
            unit="ms",
            values={
                name: milliseconds([turn.total_secs for turn in taken])
                for name, taken in turns.items()
            },
            limit=kind.wait_limit,
        ),
        Figure(
            name=f"{kind.name}: requests wasted per turn",
            unit="%",
            values={
                name: [share(sum(turn.requests - 1 for turn in taken), taken)]
                for name, taken in turns.items()
            },
            limit=kind.waste_limit,
        ),
        Figure(
            name=f"{kind.name}: not answered",
            unit="%",
            values={name: [share(taken.count(None), taken)] for name, taken in all_turns.items()},
        ),
    ]

"""From the end of the user's speech to the first sound of the answer, at the client's ear."""

import tempfile
from pathlib import Path

from loguru import logger

from benchmarks.contenders import both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.turns import PARTS, Turn, Utterance, take_turn
from benchmarks.vendors import Delays, serving_vendors
from tests.clients.webrtc import page

ANSWERS = {
    "Quiero viajar a Oaxaca en abril": "Claro, Oaxaca en abril es muy bonita. ¿Cuántos días?",
    "Busco un hotel cerca del centro": "En el centro hay varios hoteles buenos. ¿Cuál prefieres?",
    "Prefiero viajar por la mañana temprano": "Perfecto, buscamos algo temprano. ¿Vas en avión?",
    "Me gusta mucho la comida picante": "Allí la comida es famosa por el mole. ¿Lo has probado?",
}
"""What is said, and what the model answers: half of the answers begin with a short clause."""

_NAME = "voice to voice"


async def measure(delays: Delays, *, rounds: int, target: float) -> Measurement:
    """Talk with both bots by turns, a call each, and time every answer.

    Args:
        delays: What the vendors take for themselves.
        rounds: How many calls each bot has, besides one that is not counted.
        target: The ratio that Sonora may have at most.
    """
    turns: dict[str, list[Turn]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving_vendors() as vendors, both_running(Path(folder), vendors) as bots:
            vendors.answers = ANSWERS
            vendors.delay(delays)
            utterances = [await Utterance.spoken(text) for text in ANSWERS]
            for number in range(rounds + 1):
                # Each goes first as often as the other.
                for contender, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url) as client:
                        await contender.join(client)
                        taken = [await take_turn(client, vendors, each) for each in utterances]
                    if number:
                        turns.setdefault(contender.name, []).extend(taken)
                    shown = ", ".join(f"{turn.total_secs * 1000:.0f}" for turn in taken)
                    logger.info(f"{contender.name}, call {number}: {shown} ms")
    return Measurement(
        title=f"Voice to voice ({delays})",
        how="From the last voiced sound that the client sent to the first sound of the answer "
        f"that it heard. {rounds} calls of {len(ANSWERS)} turns with each bot, in turn; one call "
        "before that is not counted.",
        figures=_figures(turns, target),
        traces={name: _trace(taken) for name, taken in turns.items()},
    )


def _figures(turns: dict[str, list[Turn]], target: float) -> list[Figure]:
    # A turn that was cut in two has no end of speech to count from.
    whole = {name: [turn for turn in taken if not turn.cut] for name, taken in turns.items()}
    total = Figure(
        name=_NAME,
        unit="ms",
        values={n: milliseconds([t.total_secs for t in taken]) for n, taken in whole.items()},
        target=target,
    )
    parts = [
        Figure(
            name=part,
            unit="ms",
            values={
                name: milliseconds([turn.parts_secs[part] for turn in taken])
                for name, taken in whole.items()
            },
            part_of=_NAME,
        )
        for part in PARTS
    ]
    counts = {
        "requests to the model per turn": {
            name: [float(turn.requests) for turn in taken] for name, taken in turns.items()
        },
        "turns answered before they had ended": {
            name: [float(sum(turn.cut for turn in taken))] for name, taken in turns.items()
        },
    }
    return [total, *parts, *(Figure(name=n, unit="", values=v) for n, v in counts.items())]


def _trace(turns: list[Turn]) -> dict[str, float]:
    """The turn in the middle, by its total."""
    ordered = sorted((turn for turn in turns if not turn.cut), key=lambda turn: turn.total_secs)
    middle = ordered[len(ordered) // 2]
    return dict(zip(PARTS, milliseconds(list(middle.marks_secs)), strict=True))

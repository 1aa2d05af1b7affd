"""From the user's first word over the bot's to the bot's silence."""

from loguru import logger

from benchmarks.contenders import Rival, Scaffold
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.long_answers import (
    PAUSE_SECS,
    SPEAKING_SECS,
    answering,
    both_talking,
    say,
    went_on_secs,
)
from benchmarks.utterance import Utterance
from benchmarks.vendors import Vendors
from simulators.clients.network import Network
from simulators.clients.webrtc import Page, page

_INTERRUPTIONS = (
    "Espera un momento por favor",
    "Oye mejor hablemos de la playa",
    "No perdona quería decir otra cosa",
    "Disculpa tengo otra pregunta",
    "Vale ya lo tengo muchas gracias",
)

_TARGET = 0.8


async def measure(
    *, rounds: int, network: Network | None = None, beside: Rival = Scaffold
) -> Measurement:
    """Interrupt both bots by turns.

    Args:
        rounds: How many calls each bot has.
        network: The way between client and bot; None: as it is.
        beside: The other bot.
    """
    values: dict[str, list[float]] = {}
    async with both_talking(beside) as (vendors, bots):
        interruptions = [await Utterance.spoken(text) for text in _INTERRUPTIONS]
        for number in range(rounds):
            for contender, bot in bots if number % 2 else reversed(bots):
                async with page(bot.url, network=network) as client:
                    await contender.join(client)
                    await say(client, vendors, interruptions[0])
                    taken = [
                        await _interrupt(client, vendors, each, after_secs=secs)
                        for each, secs in zip(
                            (interruptions[-1], *interruptions),
                            (SPEAKING_SECS[-1], *SPEAKING_SECS),
                            strict=True,
                        )
                    ]
                cut_off = [secs for secs in taken[1:] if secs is not None]
                values.setdefault(contender.name, []).extend(cut_off)
                shown = ", ".join(f"{secs * 1000:.0f}" for secs in cut_off)
                logger.info(f"{contender.name}, call {number + 1}: {shown} ms")
    return Measurement(
        title=f"Barge-in ({network})" if network else "Barge-in",
        how="From the first voiced sound of an interruption that the client sent, a second or "
        "more into a long answer, to the last sound of that answer that it heard.",
        figures=[
            Figure(
                name="user's first sound to silence",
                unit="ms",
                values={name: milliseconds(secs) for name, secs in values.items()},
                target=_TARGET,
            )
        ],
    )


async def _interrupt(
    client: Page, vendors: Vendors, interruption: Utterance, *, after_secs: float
) -> float | None:
    """Wait for an answer, cut it off, and tell how long it went on, in seconds.

    None where the bot was silent as the interruption began, so that there was nothing to cut off.
    """
    await answering(client, after_secs=after_secs)
    await say(client, vendors, interruption)
    began_at = client.microphone.began_at + interruption.lead_secs
    # What it says from here on answers the interruption.
    await client.silence(PAUSE_SECS)
    return went_on_secs(client.sounds, began_at)

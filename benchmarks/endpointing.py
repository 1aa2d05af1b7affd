"""Whether a bot waits for a turn to end, and how long: by kinds of turns that are hard to tell."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Rival, Scaffold, both_running
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.kinds import ASKED, LONG, NOISY, PAUSES, RECORDINGS, SHORT, Kind
from benchmarks.rooms import Room, at_home, in_a_cafe, with_a_fan
from benchmarks.speakers import SYNTHESISERS
from benchmarks.turns import Turn, take_turn
from benchmarks.utterance import Utterance, loudness
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from simulators.clients.webrtc import FRAME_SECS, Page, page


@dataclass(frozen=True)
class Conversations:
    """What is said to the bots in one measurement.

    Parameters:
        title: What the measurement is called.
        kinds: What is said in each call.
        rounds: How many calls each bot has; in each, other speakers say the same.
        rooms: Where the calls are made from, in turn; none: where it is as silent as nowhere.
    """

    title: str
    kinds: Sequence[Kind]
    rounds: int
    rooms: Sequence[Room] = ()


CONVERSATIONS = {
    "pauses": Conversations("Endpointing: a pause in mid-sentence", PAUSES, rounds=3),
    "short-turns": Conversations("Endpointing: short turns", SHORT, rounds=2),
    "asked": Conversations("Endpointing: what was asked for", ASKED, rounds=3),
    "long-turns": Conversations("Endpointing: long turns", LONG, rounds=2),
    "recordings": Conversations("Endpointing: people", RECORDINGS, rounds=1, rooms=[at_home]),
    "noisy": Conversations(
        "Endpointing: noisy rooms", NOISY, rounds=2, rooms=[with_a_fan, in_a_cafe]
    ),
}
"""By their names on the command line."""


@dataclass(frozen=True)
class _Said:
    """A turn that is to be said, by whom, of what kind, and after what the bot says."""

    kind: str
    asked: str
    speaker: str
    utterance: Utterance


@dataclass(frozen=True)
class _Taken:
    """What a bot made of what was said, or None when there was no answer."""

    said: _Said
    turn: Turn | None


async def require_voices(names: Iterable[str]) -> None:
    """See that all who are to speak in these measurements can, before any of them begins.

    Args:
        names: Of measurements; those that are not in `CONVERSATIONS` need nobody.

    Raises:
        VoiceMissingError: Somebody is not installed.
    """
    for name in CONVERSATIONS.keys() & set(names):
        await _calls(CONVERSATIONS[name])


async def measure(
    conversations: Conversations, quick: bool, beside: Rival = Scaffold
) -> Measurement:
    """Say every turn of every kind to both bots, and see what they make of it.

    Args:
        conversations: What to say.
        quick: Whether one call has to do.
        beside: The other bot.

    Raises:
        VoiceMissingError: Not all who are to speak are installed.
    """
    calls = (await _calls(conversations))[: 1 if quick else None]
    rooms = [await room() for room in conversations.rooms] or [None]
    taken: dict[str, list[_Taken]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving_vendors() as vendors,
            both_running(Path(folder), vendors, beside) as bots,
        ):
            vendors.delay(REALISTIC)
            for number, call in enumerate(calls):
                room = rooms[number % len(rooms)]
                if room is not None:
                    # What is loud in the room is no speech yet.
                    noise = float(loudness(room, FRAME_SECS).max())
                    vendors.deepgram.loud = max(vendors.deepgram.loud, noise)
                for contender, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url, room=room) as client:
                        await contender.join(client)
                        if call[0].asked:
                            vendors.otherwise = call[0].asked
                            await _answered(client, vendors, await SYNTHESISERS[0].say("Hola"))
                        for said, following in zip(call, [*call[1:], None], strict=True):
                            vendors.otherwise = (following and following.asked) or "Muy bien."
                            turn = await _answered(client, vendors, said.utterance)
                            taken[contender.name].append(_Taken(said, turn))
                            logger.info(
                                f"{contender.name}, {said.speaker}, “{said.utterance.text}”: {turn}"
                            )
    return Measurement(
        title=conversations.title,
        how="A turn is cut when the model is told it as two turns, or the bot is heard before its "
        "end. The wait is from the end of the last word to the first sound of the answer. A "
        "request to the model is wasted when it is not the one that was answered.",
        figures=[
            *(figure for kind in conversations.kinds for figure in _of_kind(kind, taken)),
            *_by_speaker(taken),
        ],
    )


async def _calls(conversations: Conversations) -> list[list[_Said]]:
    return [await _said(conversations.kinds, number) for number in range(conversations.rounds)]


async def _said(kinds: Sequence[Kind], number: int) -> list[_Said]:
    """What is said in a call; who says it changes from turn to turn, and from call to call."""
    said: list[_Said] = []
    for kind in kinds:
        for place, parts in enumerate(kind.turns):
            speaker = kind.speakers[(place + number) % len(kind.speakers)]
            utterance = await speaker.say(*parts)
            said.append(_Said(kind.name, kind.asked, speaker.name, utterance))
    return said


async def _answered(client: Page, vendors: Vendors, said: Utterance) -> Turn | None:
    """The turn, or None when there was no answer."""
    try:
        return await take_turn(client, vendors, said)
    except TimeoutError:
        return None


def _of_kind(kind: Kind, taken: Mapping[str, Sequence[_Taken]]) -> list[Figure]:
    all_turns = {
        name: [each.turn for each in turns if each.said.kind == kind.name]
        for name, turns in taken.items()
    }
    turns = {name: [turn for turn in of if turn] for name, of in all_turns.items()}
    return [
        _cut(kind.name, turns, target=kind.cut_target),
        _wait(kind.name, turns, limit=kind.wait_limit),
        Figure(
            name=f"{kind.name}: requests wasted per turn",
            unit="%",
            values={
                name: [_share(sum(turn.requests - 1 for turn in of), of)]
                for name, of in turns.items()
            },
            limit=kind.waste_limit,
        ),
        Figure(
            name=f"{kind.name}: not answered",
            unit="%",
            values={name: [_share(of.count(None), of)] for name, of in all_turns.items()},
        ),
    ]


def _by_speaker(taken: Mapping[str, Sequence[_Taken]]) -> list[Figure]:
    """The same turns again, by who said them."""
    speakers = dict.fromkeys(each.said.speaker for of in taken.values() for each in of)
    figures: list[Figure] = []
    for speaker in sorted(speakers):
        turns = {
            name: [each.turn for each in of if each.turn and each.said.speaker == speaker]
            for name, of in taken.items()
        }
        name = f"said by {speaker}"
        figures += [_cut(name, turns, part_of="all"), _wait(name, turns, part_of="all")]
    return figures


def _cut(
    what: str,
    turns: Mapping[str, Sequence[Turn]],
    *,
    target: float | None = None,
    part_of: str | None = None,
) -> Figure:
    return Figure(
        name=f"{what}: cut in two",
        unit="%",
        values={name: [_share(sum(turn.cut for turn in of), of)] for name, of in turns.items()},
        target=target,
        part_of=part_of,
    )


def _wait(
    what: str,
    turns: Mapping[str, Sequence[Turn]],
    *,
    limit: float | None = None,
    part_of: str | None = None,
) -> Figure:
    return Figure(
        name=f"{what}: wait",
        unit="ms",
        values={name: milliseconds([turn.total_secs for turn in of]) for name, of in turns.items()},
        limit=limit,
        part_of=part_of,
    )


def _share(count: int, of: Sequence[object]) -> float:
    return round(100 * count / len(of), 1) if of else 0.0

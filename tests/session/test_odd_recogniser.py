"""Whatever the recogniser sends or leaves out, whoever spoke gets an answer or an apology."""

import contextlib
import random
from collections.abc import Callable, Generator
from uuid import uuid4

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.clients.webrtc import Page, page
from simulators.vendors.faults import LOSES, Quirk
from tests.session.failing_vendors import WORDS, FailingVendors
from tests.session.failure_calls import failing_bot
from tests.session.failure_cases import At, Case, How, When

pytestmark = pytest.mark.session

ANSWER_SECS = 5.0
"""How long whoever spoke may wait for a sound."""

_TURNS = 8
_GIVEN_UP_SECS = 9.0


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    with failing_bot(tmp_path_factory.mktemp("odd")) as process:
        yield process


async def say(client: Page, vendors: FailingVendors, *quirks: Quirk) -> float:
    """Say something that the recogniser is odd about; gives the wait for a sound, in seconds."""
    await client.silence(1.0)
    vendors.deepgram.hears.clear()
    vendors.deepgram.quirks.clear()
    vendors.deepgram.hears.append(WORDS["request"])
    vendors.deepgram.quirks.extend(quirks)
    client.microphone.say(await speech(WORDS["request"]))
    await client.microphone.said()
    ended_at = client.microphone.ended_at
    return await client.sound(since=ended_at, timeout_secs=_GIVEN_UP_SECS) - ended_at


def each(draw: random.Random, kinds: list[Quirk]) -> list[tuple[Quirk, ...]]:
    """Every quirk, and those that lose words again when the sound comes again."""
    return draw.sample([*((one,) for one in kinds), *((one, one) for one in LOSES)], k=_TURNS)


def mixed(draw: random.Random, kinds: list[Quirk]) -> list[tuple[Quirk, ...]]:
    """One quirk on another."""
    return [tuple(draw.choices(kinds, k=draw.choice((2, 3)))) for _ in range(_TURNS)]


@pytest.mark.parametrize("at", [At.NOVA, At.FLUX])
@pytest.mark.parametrize("choose", [each, mixed])
async def test_nobody_is_left_without_an_answer(
    bot: BotProcess, at: At, choose: Callable[[random.Random, list[Quirk]], list[tuple[Quirk, ...]]]
) -> None:
    seed = random.randrange(1_000_000)
    kinds = [quirk for quirk in Quirk if at is At.NOVA or quirk is not Quirk.UNASKED]
    vendors = FailingVendors(Case(at, How.DROPS, When.TURN, ()))
    waits: list[tuple[str, float]] = []
    async with vendors.serving(), page(bot.url, body={"settings": vendors.settings()}) as client:
        await client.ready()
        await client.action("set_conversation_id", user_id=f"user-{uuid4()}", language="es")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        for quirks in choose(random.Random(seed), kinds):
            waits.append((", ".join(quirk.value for quirk in quirks), _GIVEN_UP_SECS))
            with contextlib.suppress(TimeoutError):
                waits[-1] = (waits[-1][0], await say(client, vendors, *quirks))
        assert not client.closed.is_set()
    assert all(secs <= ANSWER_SECS for _, secs in waits), f"seed {seed}: {waits}"

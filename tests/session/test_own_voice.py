"""The bot's own voice, out of a loudspeaker, where no words tell it: whole calls in rehearsal."""

import asyncio

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.loudspeaker import Loudspeaker, room
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import page
from sonora_app.call.going_on import HEARD_SECS
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from tests.session.conftest import transcript_of
from tests.session.test_call import REQUEST, open_call, recorded

# The voice is known by when it was played, which is too long ago on a busy machine.
pytestmark = [pytest.mark.session, pytest.mark.slow, pytest.mark.alone]

ES = Lines(Language.ES)


@pytest.mark.parametrize(
    ("softer_db", "later_secs", "reverberation_secs"),
    [(10.0, 0.12, 0.3), (20.0, 0.4, 0.0)],
)
async def test_the_bot_says_all_it_has_to_say_and_stops_for_the_user(
    bot: BotProcess, softer_db: float, later_secs: float, reverberation_secs: float
) -> None:
    loudspeaker = Loudspeaker(
        softer_db=softer_db, later_secs=later_secs, answer=room(reverberation_secs)
    )
    async with page(bot.url, noise=8.0, loudspeaker=loudspeaker) as client:
        await client.ready()
        conversation_id = await open_call(client)
        await client.event("node-changed", node="conversation", timeout_secs=30)
        await client.silence(1.0)

        # Into the middle of the first answer, which is long, and not into its first words.
        cut_in = await speech("Espera un momento por favor.")
        client.microphone.say(await speech(REQUEST))
        await client.microphone.said()
        await client.sound(since=client.microphone.ended_at)
        await asyncio.sleep(HEARD_SECS + 0.4)
        waiting = Waiting(bot)
        client.microphone.say(cut_in)
        await client.silence(0.4)
        await client.microphone.said()
        assert waiting.secs(client.sounds[-1]) < 2.5
        # What is answered to that is said to its end.
        await recorded(client, 5)

    transcript = await transcript_of(bot, conversation_id)
    said = [(m.role, m.interrupted) for m in transcript.messages]
    assert said == [
        ("assistant", False),
        ("user", False),
        ("assistant", True),
        ("user", False),
        ("assistant", False),
    ]
    assert transcript.messages[0].content == ES.text("greeting.new")

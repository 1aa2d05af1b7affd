"""The bot's own voice, out of a loudspeaker, where no words tell it: whole calls in rehearsal."""

import asyncio
import time

import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.loudspeaker import Loudspeaker, room
from simulators.clients.speech import speech
from simulators.clients.webrtc import page
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from tests.session.conftest import transcript_of
from tests.session.test_call import REQUEST, open_call, recorded

pytestmark = pytest.mark.session

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

        client.microphone.say(await speech(REQUEST))
        await recorded(client, 3)
        await client.silence(1.0)

        client.microphone.say(await speech("¿Y qué más hay en Oaxaca?"))
        await client.microphone.said()
        await client.sound(since=time.monotonic())
        await asyncio.sleep(1.5)
        cut_in_at = time.monotonic()
        client.microphone.say(await speech("Espera un momento por favor."))
        await client.silence(0.4, timeout_secs=5)
        await client.microphone.said()
        assert client.sounds[-1] - cut_in_at < 2.5
        await recorded(client, 6)

    transcript = await transcript_of(bot, conversation_id)
    said = [(m.role, m.interrupted) for m in transcript.messages]
    assert said[:6] == [
        ("assistant", False),
        ("user", False),
        ("assistant", False),
        ("user", False),
        ("assistant", True),
        ("user", False),
    ]
    assert transcript.messages[0].content == ES.text("greeting.new")

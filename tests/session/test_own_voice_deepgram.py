"""The bot's own voice, out of a loudspeaker, which Deepgram hears as well: a whole call."""

import json
from pathlib import Path

import pytest

from benchmarks.utterance import Utterance
from simulators.clients.loudspeaker import Loudspeaker, room
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply
from simulators.vendors.overhearing import OverhearingDeepgram, SpeakingCartesia
from tests.session.talking import ES, SUMMARY, Vendors, bot_with_keys, said, settled
from tests.session.test_call import open_call, recorded

# The voice is known by when it was played, which is too long ago on a busy machine.
pytestmark = [pytest.mark.session, pytest.mark.slow, pytest.mark.alone]

LATER_SECS = 0.2
LATE_SECS = 0.8
"""How late Deepgram tells its finals."""

QUESTION = "Cuéntame qué hay en Oaxaca."
ANSWER = "Oaxaca tiene montañas, playas, mercados llenos de colores y una cocina famosa."
MORE = "Y qué fiestas tiene."
FIESTAS = (
    "La Guelaguetza llena de bailes y de bandas el cerro en julio, y en noviembre los muertos."
)
CUT_IN = "Espera, mejor Puebla."
PUEBLA = "Puebla tiene talavera y mole."
HEARD_AS = {
    "Sonora.": "señora",
    "gustaría": "gustaba",
    "Oaxaca": "o a jaca",
    "montañas,": "montaña",
    "llenos": "",
    "famosa.": "famosas",
    "Guelaguetza": "gela geza",
    "bandas": "banda",
}


def model(request: ChatRequest) -> Reply:
    if not request.body["stream"]:
        return Reply(json.dumps(SUMMARY))
    answers = {QUESTION: ANSWER, MORE: FIESTAS, CUT_IN: PUEBLA}
    return Reply(answers.get(request.last_said, "¿Cómo dices?"), token_secs=0.02)


async def say(client: Page, deepgram: OverhearingDeepgram, text: str) -> None:
    spoken = await Utterance.spoken(text)
    deepgram.user_says(spoken.words)
    client.microphone.say(spoken.pcm)
    await client.microphone.said()


async def test_nothing_of_it_is_the_users_however_badly_and_late_it_is_heard(
    tmp_path: Path,
) -> None:
    deepgram, cartesia = OverhearingDeepgram("dg-key"), SpeakingCartesia("ct-key")
    deepgram.final_secs, vendors = LATE_SECS, Vendors(deepgram=deepgram, cartesia=cartesia)
    vendors.openai.model = model
    speaker = Loudspeaker(softer_db=12.0, later_secs=LATER_SECS, answer=room(0.3))
    async with deepgram.serving(), vendors.openai.serving(), cartesia.serving():
        with bot_with_keys(tmp_path, vendors) as bot:
            async with (
                page(bot.url, noise=8.0, loudspeaker=speaker) as client,
                deepgram.overhearing(client, later_secs=LATER_SECS, heard_as=HEARD_AS),
            ):
                await client.ready()
                conversation_id = await open_call(client)
                await client.event("node-changed", node="conversation", timeout_secs=30)
                await client.silence(1.0)
                await say(client, deepgram, QUESTION)
                await recorded(client, 3)
                await client.silence(1.0)
                told = len(client.messages)
                await say(client, deepgram, MORE)
                await client.told_words(7, after=told)
                waiting = Waiting(bot)
                await say(client, deepgram, CUT_IN)
                await client.silence(0.4)
                assert waiting.secs(client.sounds[-1]) < 2.5
                await recorded(client, 7)
                await client.silence(2.0)
            transcript = await settled(bot, conversation_id)

    told_all = said(transcript)
    cut = [message.interrupted for message in transcript.messages]
    assert told_all[:4] + told_all[5:] == [
        ("assistant", ES.text("greeting.new")),
        ("user", QUESTION),
        ("assistant", ANSWER),
        ("user", MORE),
        ("user", CUT_IN),
        ("assistant", PUEBLA),
    ]
    assert cut == [False, False, False, False, True, False, False]

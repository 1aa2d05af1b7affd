"""A call in which the person changes to the other language and back, answered in each."""

from pathlib import Path

import pytest

from simulators.vendors.openai import ChatRequest, Reply
from sonora_app.settings import Language
from sonora_app.vendors.build import NATIVE_VOICES
from tests.session.talking import (
    ES,
    MORE,
    SEEN,
    bot_with_keys,
    guide,
    said,
    serving_vendors,
    talking,
)

pytestmark = [pytest.mark.session, pytest.mark.slow]

IN_ENGLISH = "Could we go on in English."
TYPED = "can you tell me about the food"
ANSWER = "Of course, we can."


def bilingual(request: ChatRequest) -> Reply:
    """A model that speaks what it is told to speak."""
    if request.body["stream"] and "Speak only English" in str(request.messages[0]["content"]):
        return Reply(ANSWER)
    return guide(request)


async def test_the_other_language_is_answered_in_it_and_by_its_voice(tmp_path: Path) -> None:
    async with serving_vendors() as vendors:
        vendors.deepgram.languages = {IN_ENGLISH: "en"}
        vendors.cartesia.char_secs = 0.01
        with bot_with_keys(tmp_path, vendors, SONORA_CHANGE_LANGUAGE="True") as bot:
            async with talking(bot, vendors) as talk:
                vendors.openai.model = bilingual
                for text in (IN_ENGLISH, MORE):
                    await talk.say(text)
                    await talk.is_recorded()
                talk.client.type_text(TYPED)
                await talk.is_recorded()
                await talk.is_recorded()
                told = [each["language"] for each in talk.client.events("language-changed")]
            transcript = await talk.transcript()
    assert said(transcript) == [
        ("assistant", ES.text("greeting.new")),
        ("user", IN_ENGLISH),
        ("assistant", ANSWER),
        ("user", MORE),
        ("assistant", SEEN),
        ("user", TYPED),
        ("assistant", ANSWER),
    ]
    assert told == ["en", "es", "en"]
    assert transcript.conversation.language == "en"
    spoke = {m["transcript"]: (m["language"], m["voice"]["id"]) for m in vendors.cartesia.messages}
    english, spanish = (("en", NATIVE_VOICES[Language.EN]), ("es", NATIVE_VOICES[Language.ES]))
    assert {text for text, by in spoke.items() if by == english} - {""} == {"Of course,", "we can."}
    assert {by for by in spoke.values()} == {english, spanish}
    # One connection recognised both.
    (connect,) = vendors.deepgram.log.of("connect")
    query = connect["query"]
    assert (query["language"], query["language_hint"]) == (["multi"], ["es", "en"])

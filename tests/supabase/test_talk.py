"""A whole conversation by voice, its vendors simulated and Supabase's API real.

It is kept word for word as it was heard, and remembered on another machine.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from simulators.clients.webrtc import FRAME_SECS, Page
from sonora_app.call.going_on import HEARD_SECS
from sonora_app.storage.records import EndReason
from sonora_app.storage.store import Transcript
from tests.session.talking import (
    ALLERGY,
    ANSWER,
    DONE,
    ES,
    FOOD,
    FOOD_ANSWER,
    LONG_ANSWER,
    MORE,
    NO,
    QUESTION,
    REQUEST,
    SEEN,
    SUMMED_UP,
    WARNED,
    WRAP_UP,
    Conversation,
    Said,
    bot_with_keys,
    said,
    serving_vendors,
    talking,
)
from tests.supabase.lite import Lite
from tests.supabase.stored import stored

pytestmark = [pytest.mark.supabase, pytest.mark.slow]

CUT_AFTER_SECS = HEARD_SECS + 0.4
"""How much of an answer is heard before it is cut off: more than where one goes on with a turn."""
IN_THE_AIR_SECS = 0.8
"""How much sound there may be between what is kept as heard and what was heard."""


@dataclass(frozen=True)
class Witnessed:
    """What the test saw of the conversation, beside what is kept of it.

    Parameters:
        heard_secs: How much sound was heard of each answer that was cut off.
        told: What the model was told for the answer after each of those.
    """

    heard_secs: tuple[float, float]
    told: tuple[Said, Said]


async def listened(client: Page) -> None:
    """Wait until enough of the bot's sound was heard."""
    enough = len(client.sounds) + CUT_AFTER_SECS / FRAME_SECS
    while len(client.sounds) < enough:
        await client.sound(since=client.sounds[-1])


async def have_two_answers_cut_off(talk: Conversation) -> Witnessed:
    """Cut one off by voice, and the one to that in writing."""
    client = talk.client
    await client.silence(0.6)
    before = len(client.sounds)
    await talk.say(QUESTION)
    await listened(client)
    await talk.cut_in(FOOD)
    between = len(client.sounds)
    await listened(client)
    told_after_voice = talk.vendors.told()
    client.type_text(ALLERGY)
    await talk.is_recorded()
    await talk.is_recorded()
    after = len(client.sounds)
    await talk.is_recorded()
    return Witnessed(
        ((between - before) * FRAME_SECS, (after - between) * FRAME_SECS),
        (told_after_voice, talk.vendors.told()),
    )


async def converse(talk: Conversation) -> Witnessed:
    """Talk until the farewell was heard, with a change of mind at the first summing up."""
    await talk.say(REQUEST)
    await talk.is_recorded()
    witnessed = await have_two_answers_cut_off(talk)
    for text in (DONE, MORE, DONE):
        await talk.say(text)
        await talk.is_recorded()
    await talk.say(NO)
    ended = await talk.client.event("conversation-ended", timeout_secs=30)
    assert ended["reason"] == EndReason.GOODBYE
    await asyncio.wait_for(talk.client.closed.wait(), 30)
    return witnessed


def check_kept(kept: Transcript, user: str, witnessed: Witnessed, *, char_secs: float) -> None:
    """That a project has the conversation as it was heard, and all else that there is of it."""
    assert [message.seq for message in kept.messages if message.interrupted] == [5, 7]
    cut = [message.content or "" for message in kept.messages if message.interrupted]
    words = said(kept)
    assert words == [
        ("assistant", ES.text("greeting.new")),
        ("user", REQUEST),
        ("assistant", ANSWER),
        ("user", QUESTION),
        ("assistant", cut[0]),
        ("user", FOOD),
        ("assistant", cut[1]),
        ("user", ALLERGY),
        ("assistant", WARNED),
        ("user", DONE),
        ("assistant", SUMMED_UP),
        ("user", MORE),
        ("assistant", SEEN),
        ("user", DONE),
        ("assistant", SUMMED_UP),
        ("user", NO),
        ("assistant", ES.text("farewell.goodbye")),
    ]
    for text, whole, secs in zip(
        cut, (LONG_ANSWER, FOOD_ANSWER), witnessed.heard_secs, strict=True
    ):
        assert whole.startswith(text)
        sound_secs = sum(len(word) * char_secs for word in text.split())
        assert sound_secs == pytest.approx(secs, abs=IN_THE_AIR_SECS)
    # The model knew of each of them what was heard of it.
    assert witnessed.told == (words[:6], words[:8])
    assert [m.content for m in kept.messages if m.modality == "text"] == [ALLERGY]
    assert [(t.to_node, t.trigger) for t in kept.transitions] == [
        ("greeting", "set_conversation_id"),
        ("conversation", "greeting_finished"),
        ("wrap_up", "wrap_up"),
        ("conversation", "resume_conversation"),
        ("wrap_up", "wrap_up"),
        ("farewell", "say_goodbye"),
    ]
    conversation = kept.conversation
    assert (conversation.user_id, conversation.status) == (user, "completed")
    assert (conversation.title, conversation.summary) == (WRAP_UP["title"], WRAP_UP["summary"])
    assert [session.end_reason for session in kept.sessions] == [EndReason.GOODBYE]


async def test_a_conversation_is_kept_as_it_was_heard_and_remembered_elsewhere(
    lite: Lite, tmp_path: Path
) -> None:
    supabase = {"SUPABASE_URL": lite.url, "SUPABASE_SECRET_KEY": lite.secret_key}
    user = f"ana-{uuid4()}"
    async with serving_vendors() as vendors:
        vendors.cartesia.char_secs = 0.03
        with bot_with_keys(tmp_path / "first", vendors, **supabase) as bot:
            async with talking(bot, vendors, user_id=user) as talk:
                witnessed = await converse(talk)
        first = await stored(lite, talk.id)
        assert first is not None
        check_kept(first, user, witnessed, char_secs=vendors.cartesia.char_secs)

        # Another machine, whose journal knows nothing.
        with bot_with_keys(tmp_path / "second", vendors, **supabase) as bot:
            async with talking(bot, vendors, user_id=user, conversation_id=talk.id) as again:
                await again.say(MORE)
                await again.is_recorded()
        told = vendors.told()

    second = await stored(lite, talk.id)
    assert second is not None
    facts = {"since": ES.text("since.minutes"), "topic": WRAP_UP["topics"][0]}
    assert second.messages[: len(first.messages)] == first.messages
    assert said(second) == [
        *said(first),
        ("assistant", ES.text("greeting.returning", facts)),
        ("user", MORE),
        ("assistant", SEEN),
    ]
    assert told == said(second)[:-1]
    assert len(second.sessions) == 2

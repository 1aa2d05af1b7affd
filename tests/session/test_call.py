"""Whole calls over real WebRTC, in rehearsal: what is heard, and what is kept of it."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from simulators.clients.bot_process import BotProcess
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from sonora_app.call.going_on import HEARD_SECS
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.records import EndReason
from sonora_app.storage.store import Transcript
from tests.session.conftest import transcript_of

pytestmark = pytest.mark.session

ES = Lines(Language.ES)
# Without a comma: synthetic speech pauses there long enough to end a turn.
REQUEST = "Quiero planear un viaje a Oaxaca en abril."


async def open_call(client: Page, **arguments: object) -> str:
    """Open a conversation; returns its id."""
    user = {"user_id": f"user-{uuid4()}"}
    answer = await client.action("set_conversation_id", **{**user, **arguments})
    assert answer["type"] == "server-response", answer
    assert answer["data"]["d"]["status"] == "ready"
    conversation_id: str = answer["data"]["d"]["conversation_id"]
    return conversation_id


async def recorded(client: Page, count: int) -> None:
    """Wait until `count` messages are in the journal."""
    await client.event("message-recorded", seq=count, timeout_secs=30)


async def test_a_whole_conversation(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        asked_at = time.monotonic()
        conversation_id = await open_call(client)
        await client.sound(since=asked_at)
        await client.event("node-changed", node="conversation", previous="greeting")
        await client.silence(0.6)

        client.type_text("Quiero planear un viaje a Oaxaca.")
        await recorded(client, 3)
        client.type_text("Eso es todo, adiós.")
        await client.event("node-changed", node="wrap_up")
        await recorded(client, 5)
        client.type_text("No, gracias.")
        ended = await client.event("conversation-ended", timeout_secs=30)
        farewell_heard_at = client.sounds[-1]
        assert ended["reason"] == "goodbye"
        assert "viaje" in ended["summary"]
        await asyncio.wait_for(client.closed.wait(), 30)
        assert time.monotonic() > farewell_heard_at

    transcript = await settled(bot, conversation_id)
    said = [(m.role, m.node, m.modality.value, m.interrupted) for m in transcript.messages]
    assert said == [
        ("assistant", "greeting", "voice", False),
        ("user", "conversation", "text", False),
        ("assistant", "conversation", "voice", False),
        ("user", "conversation", "text", False),
        ("assistant", "wrap_up", "voice", False),
        ("user", "wrap_up", "text", False),
        ("assistant", "farewell", "voice", False),
    ]
    words = [m.content for m in transcript.messages]
    assert words[0] == ES.text("greeting.new")
    assert words[1] == "Quiero planear un viaje a Oaxaca."
    assert words[6] == ES.text("farewell.goodbye")
    assert [m.seq for m in transcript.messages] == list(range(1, 8))
    assert [(t.from_node, t.to_node, t.trigger) for t in transcript.transitions] == [
        ("waiting", "greeting", "set_conversation_id"),
        ("greeting", "conversation", "greeting_finished"),
        ("conversation", "wrap_up", "wrap_up"),
        ("wrap_up", "farewell", "say_goodbye"),
    ]
    assert transcript.conversation.status == "completed"
    assert transcript.conversation.summary == ended["summary"]
    assert transcript.conversation.metadata["stand_ins"] == ["llm", "stt", "tts"]
    assert transcript.messages[2].metadata == {"stand_ins": ["llm", "tts"]}
    session = transcript.sessions[0]
    assert (session.transport, session.end_reason) == ("webrtc", EndReason.GOODBYE)
    assert session.ended_at is not None


async def test_speech_is_answered_and_cuts_the_bot_off(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client)
        await client.event("node-changed", node="conversation")
        await client.silence(0.6)

        client.microphone.say(await speech(REQUEST))
        await client.microphone.said()
        stopped_at = time.monotonic()
        await client.sound(since=stopped_at)
        latency = await client.event("turn-latency")
        assert latency["total_ms"] == pytest.approx(sum(latency["parts_ms"].values()), rel=0.05)

        # Into the middle of the answer, and not into its first words.
        cut_in = await speech("Espera un momento por favor.")
        await asyncio.sleep(HEARD_SECS + 0.4)
        waiting = Waiting(bot)
        client.microphone.say(cut_in)
        await client.silence(0.4)
        await client.microphone.said()
        assert waiting.secs(client.sounds[-1]) < 2.5
        await recorded(client, 5)

        # Somebody who was cut off goes on over the bot's first words.
        going_on = await speech("Y con mi hermana.")
        seen = len(client.messages)
        client.microphone.say(await speech("Perdón en mayo."))
        await client.wait_for(
            lambda message: message["type"] == "bot-started-speaking", after=seen, timeout_secs=30
        )
        first = await client.event("message-recorded", after=seen, role="user")
        await client.event("turn-latency", after=seen)
        seen = len(client.messages)
        client.microphone.say(going_on)
        second = await client.event("message-recorded", after=seen, role="user")
        await client.event("turn-latency", after=seen)
        told = len(client.events("turn-latency"))
        async with httpx.AsyncClient(base_url=bot.url) as http:
            kept = (await http.get(f"/sonora/api/conversations/{conversation_id}")).json()

    metrics = kept["sessions"][0]["metrics"]
    # Nobody waited for what half of a turn was answered.
    assert (metrics["turns_cut"], metrics["turns_answered"]) == (1, told - 1)
    transcript = await transcript_of(bot, conversation_id)
    by_id = {str(message.id): message for message in transcript.messages}
    assert by_id[second["id"]].metadata["continues"] == first["id"]
    roles = [(m.role, m.interrupted) for m in transcript.messages]
    assert roles[:5] == [
        ("assistant", False),
        ("user", False),
        ("assistant", True),
        ("user", False),
        ("assistant", False),
    ]
    heard = transcript.messages[1]
    assert heard.metadata == {"stand_ins": ["stt"]}
    cut = transcript.messages[2].content or ""
    assert ES.text("rehearsal.first", {"echo": "·"}).startswith(cut.split(" ")[0])
    assert not cut.endswith(ES.text("rehearsal.first", {"echo": "·"})[-10:])


async def test_the_user_may_cut_into_the_greeting(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client)
        await client.told_words(2)
        client.type_text("Perdona, tengo prisa.")
        await recorded(client, 3)
    transcript = await transcript_of(bot, conversation_id)
    greeting, typed, answer = transcript.messages[:3]
    assert greeting.interrupted
    assert ES.text("greeting.new").startswith(greeting.content or "nothing")
    assert greeting.node == "greeting"
    assert (typed.content, typed.modality) == ("Perdona, tengo prisa.", "text")
    assert answer.node == "conversation"


async def test_nobody_is_heard_before_the_conversation_is_open(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        refusal = await client.answer_to(client.type_text("¿Hay alguien?"))
        assert refusal["type"] == "error-response"
        assert refusal["data"]["code"] == "not_ready"
        told = "La conversación todavía no está abierta. Envía antes set_conversation_id."
        assert refusal["data"]["message"] == told
        client.microphone.say(await speech(REQUEST))
        assert (await client.event("notice"))["code"] == "not_ready"
        await client.microphone.said()
        await asyncio.sleep(1.5)
        assert not client.sounds
        conversation_id = await open_call(client)
        await recorded(client, 1)
        await client.event("node-changed", node="conversation")
    transcript = await transcript_of(bot, conversation_id)
    assert [m.role for m in transcript.messages] == ["assistant"]


async def test_an_id_sent_again_changes_nothing_and_another_is_refused(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        # Before client-ready, and twice at once.
        message = opening(user_id="ana")
        first = client.send("client-message", message)
        second = client.send("client-message", message)
        answers = [await client.answer_to(first), await client.answer_to(second)]
        assert answers[0]["data"]["d"] == answers[1]["data"]["d"]
        conversation_id = answers[0]["data"]["d"]["conversation_id"]
        await client.ready()
        await client.event("node-changed", node="conversation")
        for arguments in (
            {"conversation_id": str(uuid4()), "user_id": "ana"},
            {"conversation_id": conversation_id, "user_id": "berta"},
        ):
            refusal = await client.action("set_conversation_id", **arguments)
            assert refusal["data"]["code"] == "already_open"
        again = await client.action("set_conversation_id", user_id="ana")
        assert again["data"]["d"]["conversation_id"] == conversation_id
    transcript = await settled(bot, conversation_id)
    assert [t.trigger for t in transcript.transitions] == [
        "set_conversation_id",
        "greeting_finished",
    ]
    assert [m.role for m in transcript.messages] == ["assistant"]


def opening(**arguments: object) -> dict[str, object]:
    return {
        "t": "action",
        "d": {
            "action": "set_conversation_id",
            "arguments": arguments,
        },
    }


async def test_a_second_call_resumes(bot: BotProcess) -> None:
    user = f"user-{uuid4()}"
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client, user_id=user)
        await client.event("node-changed", node="conversation")
        client.type_text("Mi perro se llama Canela.")
        await recorded(client, 3)
    # Hung up without a farewell: the summary is made after the call.
    before = await settled(bot, conversation_id)
    assert before.conversation.status == "abandoned"
    assert before.sessions[0].end_reason == EndReason.CLIENT_LEFT
    assert "perro" in (before.conversation.summary or "")

    body = {"conversation_id": conversation_id, "user_id": user}
    async with page(bot.url, body=body) as client:
        await client.ready()
        opened = await client.event("conversation-opened")
        assert opened["resumed"] is True
        ready = await client.action("set_conversation_id", **body)
        assert ready["data"]["d"]["conversation_id"] == conversation_id
        await client.event("node-changed", node="conversation")
        client.type_text("Le gusta nadar en el lago.")
        await recorded(client, 6)
    after = await settled(bot, conversation_id)
    assert after.messages[:3] == before.messages
    greeting = after.messages[3]
    assert greeting.content is not None
    assert greeting.content.startswith("Hola de nuevo")
    assert "perro" in greeting.content
    assert [m.seq for m in after.messages] == [1, 2, 3, 4, 5, 6]
    # What the second call sums up was said in the first: its context held the history.
    assert "perro" in (after.conversation.summary or "")
    assert "nadar" in (after.conversation.summary or "")
    assert len(after.sessions) == 2


async def test_a_new_conversation_does_not_end_with_the_summary_of_another(
    bot: BotProcess,
) -> None:
    user = f"user-{uuid4()}"
    async with page(bot.url) as client:
        await client.ready()
        earlier = await open_call(client, user_id=user)
        await client.event("node-changed", node="conversation")
        client.type_text("Mi perro se llama Canela.")
        await recorded(client, 3)
    assert (await settled(bot, earlier)).conversation.summary

    async with page(bot.url) as client:
        await client.ready()
        assert await open_call(client, user_id=user, language="en") != earlier
        await client.sound(since=0)
        await client.action("end_conversation")
        await client.event("node-changed", node="wrap_up")
        client.type_text("No, thank you.")
        ended = await client.event("conversation-ended", timeout_secs=30)
        assert "summary" not in ended


async def test_nobody_opens_somebody_elses_conversation(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client, user_id=f"owner-{uuid4()}")
    async with page(bot.url) as client:
        await client.ready()
        refusal = await client.action(
            "set_conversation_id", user_id="thief", conversation_id=conversation_id
        )
        assert refusal["data"]["code"] == "conversation_refused"
        assert "owner" not in refusal["data"]["message"]
        # The call waits on, and may still open one of its own.
        await open_call(client, user_id="thief")


async def test_hanging_up_in_mid_sentence_keeps_what_was_heard(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client)
        await client.event("node-changed", node="conversation")
        await client.silence(0.6)
        so_far = len(client.messages)
        client.type_text("Cuéntame algo.")
        await client.told_words(4, after=so_far)
    transcript = await settled(bot, conversation_id)
    assert [m.role for m in transcript.messages] == ["assistant", "user", "assistant"]
    cut = transcript.messages[2]
    whole = ES.text("rehearsal.first", {"echo": "·"})
    assert cut.interrupted
    assert cut.content is not None
    assert len(cut.content.split()) >= 2
    assert whole.startswith(cut.content[:20])
    assert len(cut.content) < len(whole)
    assert transcript.sessions[0].end_reason == EndReason.CLIENT_LEFT


async def test_text_only_answers(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        conversation_id = await open_call(client)
        await client.event("node-changed", node="conversation")
        await client.silence(0.6)
        asked_at = time.monotonic()
        answer = await client.action(
            "user_text_message", text="Contéstame por escrito.", audio_response=False
        )
        assert answer["data"]["d"] == {"status": "accepted"}
        await recorded(client, 3)
        assert not [moment for moment in client.sounds if moment > asked_at]
    transcript = await transcript_of(bot, conversation_id)
    assert [m.modality.value for m in transcript.messages] == ["voice", "text", "text"]


async def test_the_page_ends_the_conversation_and_the_user_changes_their_mind(
    bot: BotProcess,
) -> None:
    async with page(bot.url) as client:
        await client.ready()
        assert (await client.action("end_conversation"))["data"]["code"] == "not_ready"
        conversation_id = await open_call(client, language="en")
        await client.sound(since=0)
        assert (await client.action("end_conversation"))["data"]["d"] == {"status": "accepted"}
        await client.event("node-changed", node="wrap_up")
        client.type_text("Wait, one more thing about my bicycle.")
        await client.event("node-changed", node="conversation", previous="wrap_up")
        await recorded(client, 4)
        await client.action("end_conversation")
        await client.event("node-changed", node="wrap_up", after=len(client.messages) - 3)
        await client.action("end_conversation")
        ended = await client.event("conversation-ended", timeout_secs=30)
        assert (ended["reason"], ended["status"]) == ("user_request", "completed")
        refusal = await client.answer_to(client.type_text("Too late"))
        assert refusal["data"]["code"] == "conversation_ending"
        await asyncio.wait_for(client.closed.wait(), 30)
    transcript = await settled(bot, conversation_id)
    assert transcript.conversation.language == "en"
    assert [t.trigger for t in transcript.transitions][-3:] == [
        "resume_conversation",
        "wrap_up",
        "say_goodbye",
    ]
    english = Lines(Language.EN)
    assert transcript.messages[-1].content == english.text("farewell.user_request")
    answer = next(m for m in transcript.messages if m.node == "conversation" and m.role != "user")
    assert "bicycle" in (answer.content or "")


async def settled(bot: BotProcess, conversation_id: str) -> Transcript:
    """The transcript once its last call has ended and been summed up."""
    async with asyncio.timeout(20):
        while (
            f"{conversation_id} is closed" not in bot.logged().rsplit("opened conversation", 1)[-1]
        ):
            await asyncio.sleep(0.1)
    return await transcript_of(bot, conversation_id)

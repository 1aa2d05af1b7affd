"""Somebody goes on, or coughs, at any moment about the end of a turn and the bot's first sound.

Whatever the moment: nothing that was said is lost, all of it is answered, and the answer is heard.
A “please” after “yes” costs no second answer.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from benchmarks.dictation import DictatedDeepgram
from benchmarks.utterance import Utterance
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import MIC_RATE, Page, page
from simulators.vendors.openai import ChatRequest, Reply
from sonora_app.storage.records import Message
from sonora_app.storage.whole_turns import whole_turns
from sonora_app.turns.replies.grammar import words_of
from tests.session.talking import Vendors, bot_with_keys, settled

pytestmark = pytest.mark.session

# No word is in two of these: the bot's own would be taken for its voice that comes back.
FIRST, REST = "Quiero un vuelo a Madrid", "y otro a Sevilla para dos personas"
ASKS, QUESTION = "Busco una mesa", "Queda otra libre a las nueve. ¿Te parece bien?"
ANSWERS = ("Anotado", "Reservado", "Buscado", "Pedido", "Hecho", "Visto", "Comprado", "Guardado")
MOMENTS = (0.3, 0.5, 0.8, 1.2)
"""How long after the first part the rest comes, in seconds: the turn is over after half a second,
and the bot is heard from a second on."""
PLEASE = (0.6, 0.8, 1.0, 1.2)
"""The same for a “please”: people pause for so long after “sí”."""


@dataclass
class Talk:
    """A caller, what they are recognised to say, and what the model answers."""

    bot: BotProcess
    deepgram: DictatedDeepgram
    replies: list[str] = field(default_factory=list[str])
    requests: list[ChatRequest] = field(default_factory=list[ChatRequest])

    def answer(self, request: ChatRequest) -> Reply:
        """Answer each request in other words."""
        if not request.body["stream"]:
            return Reply('{"title": "", "summary": "", "topics": [], "outcome": "resolved"}')
        if words_of(request.last_said) == words_of(ASKS):
            self.replies.append(QUESTION)
            return Reply(QUESTION, token_secs=0.015)
        opening = f"{ANSWERS[len(self.replies) % len(ANSWERS)]}, busco salidas temprano"
        self.replies.append(f"{opening}, tarifas bajas, equipaje incluido, todo en orden.")
        self.requests.append(request)
        return Reply(self.replies[-1], first_token_secs=0.8, token_secs=0.015)

    async def say(self, client: Page, said: Utterance) -> str:
        """Say something, and hear the answer to its end; returns what that was to be."""
        recorded = client.events("message-recorded")[-1]["seq"]
        self.deepgram.expect(said.words, said.loudness)
        client.microphone.say(said.pcm)
        await client.microphone.said()
        async with asyncio.timeout(30):
            while (last := client.events("message-recorded")[-1])["seq"] <= recorded or (
                last["role"] != "assistant" or last["interrupted"]
            ):
                await asyncio.sleep(0.1)
        await client.silence(0.8)
        return self.replies[-1]


@pytest.fixture
async def talk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Talk]:
    """A bot and its vendors; the parameter is its program."""
    deepgram = DictatedDeepgram("key")
    vendors = Vendors(deepgram=deepgram)
    deepgram.final_secs = 0.15
    vendors.cartesia.first_byte_secs, vendors.cartesia.char_secs = 0.12, 0.03
    async with deepgram.serving(), vendors.openai.serving(), vendors.cartesia.serving():
        program = getattr(request, "param", "bot.py")
        with bot_with_keys(tmp_path, vendors, program=program) as bot:
            made = Talk(bot, deepgram)
            vendors.openai.model = made.answer
            yield made


# The recogniser knows when each word is over by the clock.
@pytest.mark.alone
@pytest.mark.parametrize("cough", [False, True])
async def test_nothing_is_lost_and_the_answer_to_all_is_heard(talk: Talk, cough: bool) -> None:
    first = await Utterance.spoken(FIRST)
    rest = await Utterance.spoken("mmmmm" if cough else REST)
    words = () if cough else rest.words
    heard: list[tuple[int, str]] = []
    async with page(talk.bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id="ana")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        await client.silence(0.8)
        for moment in MOMENTS:
            pause = np.zeros(int(moment * MIC_RATE), np.int16)
            later = (len(first.pcm) + len(pause)) / MIC_RATE
            both = (*first.words, *((word, later + end) for word, end in words))
            asked = len(talk.requests)
            whole = Utterance(np.concatenate([first.pcm, pause, rest.pcm]), both)
            reply = await talk.say(client, whole)
            heard.append((client.events("message-recorded")[-1]["seq"], reply))
            # One for the guess, one for the whole, and one to spare on a busy machine.
            assert len(talk.requests) - asked <= 3
            # And none because of the cough, with word that the answer was cut off.
            assert talk.requests[-1].messages[-1]["role"] == "user"
            said = words_of(" ".join(word for word, _ in both))
            assert _told(talk.requests[-1])[-len(said) :] == said
        client.send("disconnect-bot")
        await asyncio.wait_for(client.closed.wait(), 30)
    transcript = await settled(talk.bot, str(UUID(opened["data"]["d"]["conversation_id"])))
    before = transcript.messages[0].seq or 0  # the greeting
    for seq, reply in heard:
        messages = [m for m in transcript.messages if before < (m.seq or 0) <= seq]
        before = seq
        assert _said(messages) == words_of(FIRST if cough else f"{FIRST} {REST}")
        assert messages[-1].content == reply
        assert messages[-1].interrupted is False


# As above.
@pytest.mark.alone
async def test_a_please_after_yes_costs_no_second_answer(talk: Talk) -> None:
    question = await Utterance.spoken(ASKS)
    async with page(talk.bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id="ana")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        await client.silence(0.8)
        for moment in PLEASE:
            assert await talk.say(client, question) == QUESTION
            asked = len(talk.requests)
            await talk.say(client, await Utterance.spoken("Sí", moment, "por favor"))
            assert len(talk.requests) - asked == 1
        client.send("disconnect-bot")
        await asyncio.wait_for(client.closed.wait(), 20)
    transcript = await settled(talk.bot, str(UUID(opened["data"]["d"]["conversation_id"])))
    assert [m.role for m in transcript.messages[1:]] == ["user", "assistant"] * 2 * len(PLEASE)
    assert not any(m.interrupted for m in transcript.messages)
    answers = transcript.messages[3::4], transcript.messages[4::4]
    for yes, answer in zip(*answers, strict=True):
        added = [each["text"] for each in answer.metadata.get("backchannels", ())]
        assert words_of(" ".join([yes.content or "", *added])) == ("si", "por", "favor")


# As above.
@pytest.mark.alone
@pytest.mark.parametrize("talk", ["tests/session/slow_entry_bot.py"], indirect=True)
async def test_what_is_typed_meanwhile_is_no_part_of_the_turn_that_goes_on(talk: Talk) -> None:
    whole = await Utterance.spoken(FIRST, 0.8, REST)
    async with page(talk.bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id="ana")
        await client.event("node-changed", node="conversation", timeout_secs=30)
        await client.silence(0.8)
        saying = asyncio.create_task(talk.say(client, whole))
        await client.event("message-recorded", role="user")
        await asyncio.sleep(0.8)  # the rest is being said
        client.type_text("Es urgente.")
        await saying
        client.send("disconnect-bot")
        await asyncio.wait_for(client.closed.wait(), 20)
    transcript = await settled(talk.bot, str(UUID(opened["data"]["d"]["conversation_id"])))
    users = [m for m in transcript.messages if m.role == "user"]
    turns = [words_of(m.content or "") for m in whole_turns(users)]
    assert turns == [words_of(f"{FIRST} {REST}"), words_of("Es urgente.")]


def _said(messages: list[Message]) -> tuple[str, ...]:
    return words_of(" ".join(m.content or "" for m in messages if m.role == "user"))


def _told(request: ChatRequest) -> tuple[str, ...]:
    said = [message["content"] for message in request.messages if message["role"] == "user"]
    return words_of(" ".join(said))

"""A page that sends anything at all: each message is answered, and nothing else happens."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import Page, page
from sonora_app.page.protocol import MAX_MESSAGE_BYTES, MAX_TEXT_CHARS
from tests.session.conftest import journal_of, transcript_of

pytestmark = [pytest.mark.session, pytest.mark.slow]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
# What a page may say is left out where it would rightly do something.
harmless_actions = st.text(max_size=20).filter(
    lambda name: name not in ("set_conversation_id", "end_conversation", "user_text_message")
)
client_messages = st.fixed_dictionaries(
    {"type": st.just("client-message")},
    optional={
        "data": json_values
        | st.fixed_dictionaries(
            {"t": st.sampled_from(["action", "user_text_message", "x", ""]), "d": json_values}
        )
        | st.fixed_dictionaries(
            {
                "t": st.just("action"),
                "d": st.fixed_dictionaries(
                    {"action": harmless_actions | json_values, "arguments": json_values}
                ),
            }
        )
        | st.fixed_dictionaries(
            {
                "t": st.just("action"),
                "d": st.fixed_dictionaries(
                    {
                        "action": st.just("set_conversation_id"),
                        "arguments": st.fixed_dictionaries(
                            {"conversation_id": st.text(max_size=40), "user_id": json_values}
                        ),
                    }
                ),
            }
        ),
    },
)
other_messages = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "send-text",
                "send-file",
                "raw-audio",
                "raw-audio-batch",
                "dtmf",
                "ui-event",
                "ui-snapshot",
                "llm-function-call-result",
                "bot-ready",
                "nonsense",
                "",
            ]
        ),
        "data": json_values,
    }
)
oversized = st.builds(
    lambda size: {"type": "send-text", "data": {"content": "x" * size}},
    st.integers(min_value=MAX_MESSAGE_BYTES, max_value=3 * MAX_MESSAGE_BYTES),
)
messages = client_messages | other_messages | oversized


async def answered(client: Page, message: dict[str, Any]) -> dict[str, Any]:
    message_id = uuid4().hex
    client.send_raw({"label": "rtvi-ai", "id": message_id, **message})
    return await client.answer_to(message_id)


async def test_200_messages_before_the_conversation_is_open(bot: BotProcess) -> None:
    sent: list[dict[str, Any]] = []

    @settings(
        max_examples=200,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(messages)
    def collect(message: dict[str, Any]) -> None:
        sent.append(message)

    collect()
    assert len(sent) == 200

    async with journal_of(bot) as journal:
        before = await journal.conversations(limit=1000)
    async with page(bot.url) as client:
        await client.ready()
        for message in sent:
            answer = await answered(client, message)
            assert answer["type"] == "error-response", (message, answer)
            assert answer["data"]["code"]
            assert answer["data"]["message"]
        assert not client.events("node-changed")
        # The session is as good as new.
        opened = await client.action("set_conversation_id", user_id="ana")
        conversation_id = opened["data"]["d"]["conversation_id"]
        await client.event("node-changed", node="conversation")

        for message in sent[:100]:
            if message["type"] != "send-text":
                answer = await answered(client, message)
                assert answer["type"] == "error-response", (message, answer)
        client.type_text("Sigo aquí.")
        await client.event("message-recorded", seq=3)
    transcript = await transcript_of(bot, conversation_id)
    assert [m.role for m in transcript.messages] == ["assistant", "user", "assistant"]
    async with journal_of(bot) as journal:
        after = await journal.conversations(limit=1000)
    assert len(after) == len(before) + 1
    assert "Traceback" not in bot.logged()


async def test_messages_without_an_envelope(bot: BotProcess) -> None:
    async with page(bot.url) as client:
        await client.ready()
        raws: list[dict[str, Any]] = [
            {"type": "client-message"},
            {"type": "client-message", "label": "other", "id": "1"},
            {"type": 7, "label": "rtvi-ai", "id": "2", "data": {}},
            {"type": "client-message", "label": "rtvi-ai", "id": 3, "data": {}},
            {"type": "client-message", "label": "rtvi-ai", "id": "x" * 500, "data": {}},
            {"type": "client-message", "label": "rtvi-ai", "id": "4", "data": [1]},
        ]
        for raw in raws:
            client.send_raw(raw)
        # They are answered in order, so the last one's answer comes last.
        await client.answer_to("4")
        refusals = [answer for answer in client.messages if answer["type"] == "error-response"]
        assert [answer["id"] for answer in refusals] == ["", "1", "2", "", "", "4"]
        assert {answer["data"]["code"] for answer in refusals} == {"invalid_message"}


@pytest.mark.parametrize("text", ["", "   ", "x" * (MAX_TEXT_CHARS + 1)])
async def test_typed_text_that_cannot_be_taken(bot: BotProcess, text: str) -> None:
    async with page(bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id="ana")
        await client.event("message-recorded", seq=1)
        by_rtvi = await client.answer_to(client.type_text(text))
        by_action = await client.action("user_text_message", text=text)
        assert [answer["data"]["code"] for answer in (by_rtvi, by_action)] == [
            "invalid_message"
        ] * 2
    transcript = await transcript_of(bot, opened["data"]["d"]["conversation_id"])
    assert [m.role for m in transcript.messages] == ["assistant"]
    assert json.dumps(text) not in bot.logged()

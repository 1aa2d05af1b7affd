"""People who come back to a conversation: by a reload, another tab, after a crash.

They are put back where the talk was, and one call at a time holds a conversation.
"""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import page
from sonora_app.storage.records import ConversationStatus, EndReason, Role
from tests.session.coming_back import (
    STILL_HERE,
    check_one_talk,
    ended,
    open_conversation,
    put_back,
    talking,
    told_of_taking_over,
)

pytestmark = pytest.mark.session


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    with running_bot(
        tmp_path_factory.mktemp("bot"), SONORA_WAITING_SECS="60", SONORA_IDLE_SECS="3"
    ) as process:
        yield process


async def test_a_reload_in_mid_answer_goes_on_where_the_talk_was(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        assert not first.ready["put_back"]
        await talking(old, first)
        # The tab is gone without a word, as far as the bot knows.
        old.vanish()
        async with page(bot.url) as new:
            await put_back(bot, new, first.id)
            await new.event("message-recorded", role=Role.ASSISTANT)
            # Longer than the silence after which a call that went on would ask.
            new.type_text("Sigamos.")
            await new.event("message-recorded", role=Role.USER)
    transcript = await ended(bot, first.id, 2)
    said = check_one_talk(transcript)
    assert [session.end_reason for session in transcript.sessions] == [
        EndReason.TAKEN_OVER,
        EndReason.CLIENT_LEFT,
    ]
    cut = transcript.messages[2]
    assert cut.interrupted
    assert said[3] == (Role.ASSISTANT, STILL_HERE)
    assert said[4] == (Role.USER, "Sigamos.")


async def test_a_second_tab_takes_over_and_the_first_is_told(bot: BotProcess) -> None:
    # Connected before: the first is not to be silent meanwhile for so long that it is asked.
    async with page(bot.url) as old, page(bot.url) as new:
        first = await open_conversation(old)
        await old.event("node-changed", node="conversation", timeout_secs=30)
        await put_back(bot, new, first.id)
        await told_of_taking_over(old, bot, within_secs=2)
    transcript = await ended(bot, first.id, 2)
    check_one_talk(transcript)
    assert transcript.conversation.status is ConversationStatus.ABANDONED


async def test_of_two_tabs_that_come_at_once_one_holds_the_talk(bot: BotProcess) -> None:
    async with page(bot.url) as old, page(bot.url) as one, page(bot.url) as other:
        first = await open_conversation(old)
        await old.event("node-changed", node="conversation", timeout_secs=30)
        tabs = (one, other)
        opened = await asyncio.gather(*(open_conversation(tab, first.id) for tab in tabs))
        await told_of_taking_over(old, bot, within_secs=2)
        over = [asyncio.create_task(tab.closed.wait()) for tab in tabs]
        done, (left,) = await asyncio.wait(over, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        left.cancel()
        holder = over.index(left)
        tabs[holder].type_text("Sigamos.")
        await tabs[holder].event("message-recorded", role=Role.USER)
    transcript = await ended(bot, first.id, 3)
    check_one_talk(transcript)
    reasons = {str(session.id): session.end_reason for session in transcript.sessions}
    assert reasons.pop(opened[holder].ready["session_id"]) == EndReason.CLIENT_LEFT
    assert [*reasons.values()] == [EndReason.TAKEN_OVER] * 2


async def test_nobody_elses_call_is_taken_over(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        async with page(bot.url) as stranger:
            await stranger.ready()
            refused = await stranger.action(
                "set_conversation_id", user_id="eva", conversation_id=str(first.id)
            )
            assert refused["data"]["code"] == "conversation_refused"
        await old.event("node-changed", node="conversation", timeout_secs=30)
        assert not old.closed.is_set()
        assert old.events("conversation-ended") == []


async def test_who_was_being_seen_off_is_put_back_there(bot: BotProcess) -> None:
    async with page(bot.url) as old:
        first = await open_conversation(old)
        await talking(old, first)
        await old.action("end_conversation")
        await old.event("node-changed", node="wrap_up")
        await old.sound(since=first.asked_at)
    async with page(bot.url) as new:
        await put_back(bot, new, first.id, node="wrap_up")
        await new.action("end_conversation")
        await new.event("conversation-ended", reason=EndReason.USER_REQUEST, timeout_secs=30)
    transcript = await ended(bot, first.id, 2)
    check_one_talk(transcript)
    assert transcript.conversation.status is ConversationStatus.COMPLETED
    assert [step.to_node for step in transcript.transitions][-2:] == ["wrap_up", "farewell"]

    # That talk has come to its end: whoever comes now is greeted.
    async with page(bot.url) as later:
        again = await open_conversation(later, first.id)
        assert (again.ready["put_back"], again.ready["node"]) == (False, "greeting")


async def test_a_network_that_is_gone_for_long_ends_the_call_and_one_comes_back_to_the_talk(
    tmp_path: Path,
) -> None:
    """As 40 s without network do, and a browser that was killed. Here it takes a seventh."""
    with running_bot(
        tmp_path,
        program="tests/session/hasty_bot.py",
        SONORA_WAITING_SECS="60",
        SONORA_IDLE_SECS="3",
    ) as hasty:
        async with page(hasty.url) as old:
            first = await open_conversation(old)
            await talking(old, first)
            old.cut_off()
            transcript = await ended(hasty, first.id, 1)
            (session,) = transcript.sessions
            assert session.end_reason == EndReason.CLIENT_LEFT
            assert transcript.conversation.status is ConversationStatus.ABANDONED
            assert transcript.messages[-1].interrupted
            async with page(hasty.url) as new:
                await put_back(hasty, new, first.id)
                await new.event("message-recorded", role=Role.ASSISTANT)
        said = check_one_talk(await ended(hasty, first.id, 2))
    assert [role for role, _ in said] == ["assistant", "user", "assistant", "assistant"]
    assert said[-1] == (Role.ASSISTANT, STILL_HERE)


async def test_other_processes_take_over_and_take_on_after_a_crash_and_a_deployment(
    tmp_path: Path,
) -> None:
    environment = {"SONORA_WAITING_SECS": "60", "SONORA_IDLE_SECS": "3"}
    with (
        running_bot(tmp_path, **environment) as one,
        running_bot(tmp_path, **environment) as other,
    ):
        async with page(one.url) as old:
            first = await open_conversation(old)
            await talking(old, first)
            async with page(other.url) as new:
                await put_back(other, new, first.id)
                await told_of_taking_over(old, one, other, within_secs=2)
                await talking(new, first)
                await asyncio.to_thread(other.kill)
        async with page(one.url) as survivor:
            back = await put_back(one, survivor, first.id)
            await talking(survivor, back)
            await asyncio.to_thread(one.stop)
            told = await survivor.event("conversation-ended", timeout_secs=10)
            assert told["reason"] == EndReason.SHUTDOWN
    with running_bot(tmp_path, **environment) as next_one:
        async with page(next_one.url) as client:
            await put_back(next_one, client, first.id)
            await client.event("message-recorded", role=Role.ASSISTANT)
        transcript = await ended(next_one, first.id, 4)
    check_one_talk(transcript)
    assert [session.end_reason for session in transcript.sessions] == [
        EndReason.TAKEN_OVER,
        EndReason.CRASHED,
        EndReason.SHUTDOWN,
        EndReason.CLIENT_LEFT,
    ]
    asked = [m.content for m in transcript.messages if m.role == Role.USER]
    assert asked == ["Cuéntame algo."] * 3

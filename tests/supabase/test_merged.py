"""What the bot's store gives to read is what Supabase and the journal have together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from simulators.clients.many_calls import begun, write_calls
from sonora_app.storage.figures import Figures, FiguresWanted, GroupedBy
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import EndReason, Message, Session, utc_now, uuid7
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.tool_calls import ToolCall, ToolCallUpdate, ToolStatus
from sonora_app.storage.two_stores import MirroredStore
from sonora_app.storage.wanted import Wanted, WantedCall
from tests.supabase.lite import Lite
from tests.supabase.proxy import FaultProxy
from tests.supabase.test_shipper_faults import Talk, connected

pytestmark = pytest.mark.supabase


@asynccontextmanager
async def mirrored(path: Path, api: SupabaseApi) -> AsyncGenerator[MirroredStore]:
    store = MirroredStore(await Journal.connect(path, outbox=True), api, keep=None)
    try:
        yield store
    finally:
        await store.aclose()


def _tool_call(talk: Talk, session: Session, name: str, *, later: int) -> ToolCall:
    return ToolCall(
        id=uuid7(),
        conversation_id=talk.conversation.id,
        session_id=session.id,
        name=name,
        idempotency_key=name,
        started_at=talk.conversation.created_at + timedelta(seconds=later),
    )


def _ended(call: ToolCall) -> ToolCallUpdate:
    return ToolCallUpdate(
        id=call.id,
        conversation_id=call.conversation_id,
        status=ToolStatus.DONE,
        ended_at=utc_now(),
    )


async def test_it_is_the_same_whoever_has_it(lite: Lite, tmp_path: Path) -> None:
    talk = Talk()
    owner = talk.conversation.user_id
    first, *rest = talk.call(2)
    chat = {
        "conversation_id": str(talk.conversation.id),
        "role": "agent",
        "content": "Por escrito",
        "created_at": (utc_now() + timedelta(hours=1)).isoformat(),
    }
    path = tmp_path / "journal.db"
    session = first[1]
    begun = _tool_call(talk, session, "begun", later=1)
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write([*first, begun])
        assert await store.settle(timeout_secs=10) == 0
    async with connected(lite.url, lite) as api:
        await api.rows(lambda client: client.table("messages").insert(chat))
        elsewhere = _tool_call(talk, session, "elsewhere", later=0).model_copy(
            update={"status": ToolStatus.DONE}
        )
        row = elsewhere.model_dump(mode="json")
        await api.rows(lambda client: client.table("tool_calls").insert(row))

    holding = await Journal.connect(path, outbox=True)
    assert holding.outbox.claim(), "so that nothing more is shipped"
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite) as api,
        mirrored(path, api) as store,
    ):
        await store.write([record for batch in rest for record in batch])
        await store.write([_ended(begun), _tool_call(talk, session, "here", later=2)])
        whole = await store.transcript(talk.conversation.id)
        calls = await store.tool_calls(talk.conversation.id, limit=3)
        by_words = await store.conversations(Wanted(text="ESCRITÓ", user_id=owner))
        await proxy.stop()
        of_journal = await store.tool_calls(talk.conversation.id, limit=3)
        here = await store.transcript(talk.conversation.id)
        listed = await store.conversations(Wanted(user_id=owner))
    await holding.aclose()

    assert whole is not None
    assert here is not None
    said = [message.content for message in here.messages]
    assert len(said) == 2
    assert [message.content for message in whole.messages] == [*said, "Por escrito"]
    # Each store has one of the three alone, and the end of the one that both have.
    of_both = [(each.name, each.status) for each in calls]
    assert of_both == [("elsewhere", "done"), ("begun", "done"), ("here", "started")]
    assert [each.name for each in of_journal] == ["begun", "here"]
    assert [each.conversation.id for each in listed] == [talk.conversation.id]
    assert [each.hit and each.hit.words for each in by_words] == ["Por escrito"]


async def test_a_list_of_both_is_turned_page_by_page(lite: Lite, tmp_path: Path) -> None:
    user = f"pages-{uuid7()}"
    talks = [Talk(user) for _ in range(7)]
    path = tmp_path / "journal.db"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write([each for talk in talks[::2] for batch in talk.call(1) for each in batch])
        assert await store.settle(timeout_secs=10) == 0
    holding = await Journal.connect(path, outbox=True)
    assert holding.outbox.claim(), "so that nothing more is shipped"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write(
            [each for talk in talks[1::2] for batch in talk.call(1) for each in batch]
        )
        whole = await store.conversations(Wanted(user_id=user))
        pages = [
            await store.conversations(Wanted(user_id=user), limit=2, offset=offset)
            for offset in range(0, 9, 2)
        ]
    await holding.aclose()

    assert {each.conversation.id for each in whole} == {talk.conversation.id for talk in talks}
    assert [each.conversation.id for page in pages for each in page] == [
        each.conversation.id for each in whole
    ]
    assert {page.total for page in (whole, *pages)} == {7}


async def test_the_last_that_was_said_is_that_of_both(lite: Lite, tmp_path: Path) -> None:
    """So that what is said now comes after it, whatever has not been shipped yet."""
    talk = Talk()
    first, *rest = talk.call(2)
    path = tmp_path / "journal.db"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        await store.write(first)
        assert await store.settle(timeout_secs=10) == 0
    holding = await Journal.connect(path, outbox=True)
    assert holding.outbox.claim(), "so that nothing more is shipped"
    async with connected(lite.url, lite) as api, mirrored(path, api) as store:
        records = [record for batch in rest for record in batch]
        await store.write(records)
        said = [record.created_at for record in records if isinstance(record, Message)]
        conversation = talk.conversation
        found = await store.look_up(conversation.id, str(conversation.user_id), message_limit=10)
    await holding.aclose()
    assert found.complete
    assert found.opening is not None
    assert found.opening.conversation.last_message_at == max(said)


async def test_figures_are_the_same_whoever_adds_them_up(lite: Lite, tmp_path: Path) -> None:
    then = {"since": begun(0) - timedelta(days=1), "until": begun(4) + timedelta(days=1)}
    async with (
        FaultProxy(lite.url) as proxy,
        connected(proxy.url, lite) as api,
        mirrored(tmp_path / "journal.db", api) as store,
    ):
        await store.write(write_calls())
        assert await store.settle(timeout_secs=10) == 0
        wanted = [FiguresWanted(by, zone=timedelta(hours=-13), **then) for by in GroupedBy]
        calls = [
            WantedCall(ended=EndReason.ERROR, **then),
            WantedCall(cut=True, **then),
            WantedCall(failure="voice_unavailable", **then),
            WantedCall(failure="tool", **then),
            WantedCall(version="2", **then),
            WantedCall(flow="f2", **then),
        ]
        lists = [Wanted(call=call) for call in calls]
        lists.append(Wanted(outcome="resolved", call=WantedCall(**then)))

        async def told() -> tuple[list[Figures], list[list[str | None]]]:
            figures = [await store.figures(each) for each in wanted]
            listings = [await store.conversations(each) for each in lists]
            return figures, [[one.conversation.user_id for one in each] for each in listings]

        there = await told()
        await proxy.stop()
        here = await told()

    assert there == here
    assert [each.total.calls for each in here[0]] == [5, 5, 5]
    assert here[1] == [
        ["broken"],
        ["cut"],
        ["broken"],
        ["cut"],
        ["going", "idle"],
        ["idle"],
        ["calm"],
    ]

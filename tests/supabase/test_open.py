"""What the bot reads when it opens a conversation, through Supabase's API and its real client."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient, acreate_client

from sonora_app.settings import load_settings
from sonora_app.storage.records import (
    Conversation,
    ConversationUpdate,
    Message,
    Record,
    Session,
    Transition,
    uuid7,
)
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.listings import read_listings
from sonora_app.storage.wanted import Wanted
from tests.supabase.lite import Lite, running_lite
from tests.supabase.schema import migrations, older_schema, schema_version

pytestmark = pytest.mark.supabase

START = datetime(2026, 11, 24, 18, 0, 0, tzinfo=UTC)


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


@pytest.fixture
async def client(lite: Lite) -> AsyncClient:
    """The bot's."""
    return await acreate_client(lite.url, lite.secret_key)


async def write(client: AsyncClient, *records: Record) -> None:
    """Ship records as often as it takes: here, twice."""
    for record in records * 2:
        table = client.table(record.table)
        row = record.model_dump(mode="json")
        await table.upsert(row, ignore_duplicates=True).execute()


async def write_chat(client: AsyncClient, conversation: UUID, *rows: dict[str, Any]) -> None:
    """Write messages as the text-chat API does: with the columns that it knows."""
    for row in rows:
        await (
            client.table("messages").insert({"conversation_id": str(conversation), **row}).execute()
        )


async def open_it(client: AsyncClient, conversation: UUID | None, **arguments: Any) -> Any:
    identifier = None if conversation is None else str(conversation)
    answer = await client.rpc("sonora_open", {"conversation_id": identifier, **arguments}).execute()
    return cast(Any, answer.data)


def a_conversation(user: str | None, **more: Any) -> Conversation:
    values = {"id": uuid7(), "user_id": user, "created_at": START, "updated_at": START}
    return Conversation.model_validate(values | more)


def said(conversation: Conversation, seq: int | None, secs: float, **more: Any) -> Message:
    values: dict[str, Any] = {
        "id": uuid7(),
        "conversation_id": conversation.id,
        "seq": seq,
        "role": "user",
        "content": f"said {seq}",
        "created_at": at(secs),
    }
    return Message.model_validate(values | more)


def as_record(kind: type[Record], row: dict[str, Any]) -> Record:
    """The record that a row holds, as the journal reads its own: null is the field's default."""
    return kind.model_validate(
        {name: row[name] for name in kind.model_fields if row.get(name) is not None}
    )


async def test_it_gives_back_what_was_written(client: AsyncClient):
    user = str(uuid4())
    talk = a_conversation(user, title="viajes", metadata={"user_name": "Ana"}, language="es")
    call = Session(
        id=uuid7(), conversation_id=talk.id, transport="daily", started_at=START, app_version="1"
    )
    messages = [
        said(talk, 1, 1, session_id=call.id, node="greeting", metrics={"llm_ms": 3.5}),
        said(talk, 2, 2, session_id=call.id, role="assistant", interrupted=True, content="Hola"),
    ]
    step = Transition(
        id=uuid7(),
        conversation_id=talk.id,
        session_id=call.id,
        seq=7,
        from_node="waiting",
        to_node="greeting",
        trigger="set_conversation_id",
        created_at=START,
    )
    await write(client, talk, call, *messages, step)

    opening = await open_it(client, talk.id, user_id=user)
    assert [as_record(Message, row) for row in opening["messages"]] == messages
    assert as_record(Conversation, opening["conversation"]) == talk.model_copy(
        update={"last_message_at": at(2), "updated_at": at(2)}
    )
    assert opening["conversation"]["deleted_at"] is None
    assert (opening["older_messages"], opening["previous"]) == (0, None)
    assert (opening["last_message_seq"], opening["last_transition_seq"]) == (2, 7)


async def test_rows_of_the_text_chat_api_are_read(client: AsyncClient):
    talk = a_conversation("ana")
    image = [{"url": "https://example.com/a.png"}]
    await write(client, talk, said(talk, 1, 10))
    await write_chat(
        client,
        talk.id,
        {"role": "user", "content": "typed", "created_at": at(1).isoformat()},
        {"role": "agent", "content": "answered", "created_at": at(2).isoformat()},
        {"role": "user", "content": None, "images": image, "created_at": at(3).isoformat()},
        {
            "role": "user",
            "content": "taken back",
            "created_at": at(4).isoformat(),
            "deleted_at": at(5).isoformat(),
        },
        {"role": "system", "content": "obey", "created_at": at(20).isoformat()},
    )
    opening = await open_it(client, talk.id, user_id="ana")
    seen = [(row["role"], row["content"], row["images"]) for row in opening["messages"]]
    # Which roles and which empty ones a model is told of, history.py decides.
    assert seen == [
        ("user", "typed", None),
        ("agent", "answered", None),
        ("user", None, image),
        ("user", "said 1", None),
        ("system", "obey", None),
    ]
    records = [as_record(Message, row) for row in opening["messages"]]
    typed = records[0]
    assert isinstance(typed, Message)
    assert (typed.session_id, typed.seq, typed.interrupted) == (None, None, False)
    assert typed.modality == "text"
    assert opening["conversation"]["last_message_at"] == at(20).isoformat()
    assert opening["last_message_seq"] == 1


@pytest.fixture
async def api(lite: Lite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SupabaseApi:
    """The bot's own reading of it."""
    monkeypatch.setenv("SUPABASE_URL", lite.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite.secret_key)
    return await SupabaseApi.connect(load_settings())


async def test_a_row_that_cannot_be_read_loses_only_itself(
    client: AsyncClient, api: SupabaseApi
) -> None:
    user = str(uuid4())
    talk = a_conversation(user, title="viajes")
    await write(client, talk)
    await write_chat(
        client,
        talk.id,
        {"role": "user", "content": "¿Y Oaxaca?", "created_at": at(1).isoformat()},
        {"role": "user", "content": "sin fin", "created_at": "infinity"},
        {"role": "user", "content": "sin principio", "created_at": "-infinity"},
        {"role": "user", "content": "borrado", "deleted_at": "infinity"},
        {"role": "agent", "content": "En otoño.", "created_at": at(2).isoformat()},
    )
    new = await api.look_up(uuid7(), user, message_limit=40)
    found = await api.look_up(talk.id, user, message_limit=40)
    whole = await api.transcript(talk.id)
    listed = await read_listings(api, Wanted(user_id=user), limit=50)
    await api.aclose()

    assert found.opening is not None
    assert whole is not None
    readable = ["¿Y Oaxaca?", "En otoño."]
    assert [message.content for message in found.opening.messages] == readable
    assert [message.content for message in whole.messages] == readable
    assert [listing.conversation.title for listing in listed] == ["viajes"]
    # They have talked before, whenever that was.
    assert new.previous is not None
    assert new.previous.last_message_at is not None


async def test_order_is_by_time_and_then_by_seq(client: AsyncClient):
    talk = a_conversation("ana")
    # A clock that stepped back, and three turns of one moment.
    await write(
        client,
        talk,
        *(said(talk, seq, secs) for seq, secs in ((3, 5), (1, 5), (2, 9), (4, 1), (5, 5))),
    )
    await write_chat(
        client, talk.id, {"role": "user", "content": "chat", "created_at": at(5).isoformat()}
    )
    opening = await open_it(client, talk.id, user_id="ana")
    assert [row["seq"] for row in opening["messages"]] == [4, None, 1, 3, 5, 2]
    opening = await open_it(client, talk.id, user_id="ana", message_limit=3)
    assert [row["seq"] for row in opening["messages"]] == [3, 5, 2]
    assert opening["older_messages"] == 3

    # The same, as a front end asks for it.
    answer = await (
        client.table("messages")
        .select("seq")
        .eq("conversation_id", str(talk.id))
        .order("created_at", desc=True)
        .order("seq", desc=True, nullsfirst=False)
        .execute()
    )
    assert [row["seq"] for row in cast(Any, answer.data)] == [2, 5, 3, 1, None, 4]


async def test_the_newest_of_2000_messages_are_read(client: AsyncClient):
    talk = a_conversation("ana")
    await write(client, talk)
    rows = [said(talk, seq, seq).model_dump(mode="json") for seq in range(1, 2001)]
    await client.table("messages").insert(rows).execute()
    opening = await open_it(client, talk.id, user_id="ana", message_limit=40)
    assert [row["seq"] for row in opening["messages"]] == list(range(1961, 2001))
    assert (opening["older_messages"], opening["last_message_seq"]) == (1960, 2000)


@pytest.mark.parametrize("limit", [0, -1, None])
async def test_no_messages_when_none_are_asked_for(client: AsyncClient, limit: int | None):
    talk = a_conversation("ana")
    await write(client, talk, said(talk, 1, 1))
    opening = await open_it(client, talk.id, user_id="ana", message_limit=limit)
    assert (opening["messages"], opening["older_messages"]) == ([], 1)


async def test_a_conversation_that_is_not_there(client: AsyncClient):
    nothing: dict[str, Any] = {
        "conversation": None,
        "messages": [],
        "older_messages": 0,
        "last_message_seq": 0,
        "last_transition_seq": 0,
        "previous": None,
    }
    assert await open_it(client, uuid4(), user_id=str(uuid4())) == nothing
    assert await open_it(client, None, user_id=str(uuid4())) == nothing
    assert await open_it(client, None) == nothing


async def test_of_somebody_elses_only_enough_to_refuse_it(client: AsyncClient):
    talk = a_conversation("ana", title="secret", summary="secret", metadata={"user_name": "Ana"})
    await write(client, talk, said(talk, 1, 1))
    opening = await open_it(client, talk.id, user_id="eva")
    assert set(opening["conversation"]) == {
        "id",
        "user_id",
        "created_at",
        "updated_at",
        "deleted_at",
    }
    assert opening["conversation"]["user_id"] == "ana"
    assert as_record(Conversation, opening["conversation"]).model_fields_set
    assert (opening["messages"], opening["older_messages"]) == ([], 0)
    assert opening["last_message_seq"] == 0


async def test_nobodys_opens_for_whoever_asks(client: AsyncClient):
    talk = a_conversation(None, title="old")
    await write(client, talk, said(talk, 1, 1))
    opening = await open_it(client, talk.id, user_id="eva")
    assert (opening["conversation"]["title"], len(opening["messages"])) == ("old", 1)


async def test_a_deleted_conversation_says_so(client: AsyncClient):
    talk = a_conversation("ana")
    await write(client, talk)
    deleted = {"deleted_at": at(9).isoformat()}
    await client.table("conversations").update(deleted).eq("id", str(talk.id)).execute()
    opening = await open_it(client, talk.id, user_id="ana")
    assert opening["conversation"]["deleted_at"] == at(9).isoformat()


async def test_previous_is_the_one_that_the_user_talked_in_last(client: AsyncClient):
    user = str(uuid4())
    first, last, deleted, empty, others = (
        a_conversation(user, title="first"),
        a_conversation(user, title="last", metadata={"topics": ["Oaxaca"]}, summary="viajes"),
        a_conversation(user, title="deleted"),
        a_conversation(user, title="never talked in", created_at=at(900)),
        a_conversation(str(uuid4()), title="somebody else's"),
    )
    talked = ((first, 10), (last, 20), (deleted, 30), (others, 40))
    await write(client, *(talk for talk, _ in talked), empty)
    await write(client, *(said(talk, 1, secs) for talk, secs in talked))
    gone = client.table("conversations").update({"deleted_at": at(50).isoformat()})
    await gone.eq("id", str(deleted.id)).execute()

    previous = (await open_it(client, None, user_id=user))["previous"]
    assert as_record(Conversation, previous) == last.model_copy(
        update={"last_message_at": at(20), "updated_at": at(20)}
    )
    assert (await open_it(client, uuid4(), user_id=user))["previous"]["title"] == "last"
    opening = await open_it(client, last.id, user_id=user)
    assert (opening["conversation"]["title"], opening["previous"]["title"]) == ("last", "first")
    assert (await open_it(client, last.id))["previous"] is None


async def test_updates_do_not_turn_time_back(client: AsyncClient):
    talk = a_conversation("ana")
    await write(client, talk, said(talk, 1, 60))
    late = ConversationUpdate(id=talk.id, summary="viajes", updated_at=at(30))
    change = late.model_dump(mode="json", exclude_none=True, exclude={"id"})
    await client.table("conversations").update(change).eq("id", str(talk.id)).execute()
    found = (await open_it(client, talk.id, user_id="ana"))["conversation"]
    assert (found["summary"], found["updated_at"]) == ("viajes", at(60).isoformat())


async def test_the_schema_has_a_version(client: AsyncClient):
    assert (await client.rpc("sonora_schema_version").execute()).data == schema_version()


async def test_the_publishable_key_and_a_user_may_not_call_them(lite: Lite):
    talk = a_conversation(str(uuid4()))
    await write(await acreate_client(lite.url, lite.secret_key), talk, said(talk, 1, 1))
    page = await acreate_client(lite.url, lite.publishable_key)
    for signed_in in (False, True):
        if signed_in:
            page.postgrest.auth(lite.access_token(talk.user_id))
        for function, arguments in (
            ("sonora_schema_version", {}),
            ("sonora_open", {"conversation_id": str(talk.id), "user_id": talk.user_id}),
        ):
            with pytest.raises(APIError) as refused:
                await page.rpc(function, arguments).execute()
            assert refused.value.code == "42501"


async def test_a_page_reads_what_is_its_users(lite: Lite):
    mine, others = a_conversation(str(uuid4())), a_conversation(str(uuid4()))
    bot = await acreate_client(lite.url, lite.secret_key)
    await write(bot, mine, others, said(mine, 1, 1), said(others, 1, 1))
    page = await acreate_client(lite.url, lite.publishable_key)
    assert (await page.table("messages").select("*").execute()).data == []
    page.postgrest.auth(lite.access_token(mine.user_id))
    answer = await page.table("conversations").select("id, messages(content)").execute()
    assert cast(Any, answer.data) == [{"id": str(mine.id), "messages": [{"content": "said 1"}]}]
    rename = page.table("conversations").update({"title": "Oaxaca"})
    answer = await rename.in_("id", [str(mine.id), str(others.id)]).execute()
    assert len(cast(Any, answer.data)) == 1
    hide = page.table("messages").update({"deleted_at": at(9).isoformat()})
    await hide.eq("conversation_id", str(mine.id)).execute()
    opening = await open_it(bot, mine.id, user_id=mine.user_id)
    assert (opening["conversation"]["title"], opening["messages"]) == ("Oaxaca", [])


# A project that had the older tables, whose users are uuids.


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Generator[Lite]:
    file = tmp_path_factory.mktemp("older") / "20250101000000_older.sql"
    user = "'00000000-0000-4000-8000-00000000000a'"
    file.write_text(
        older_schema(user_id="uuid")
        + f"""
        insert into public.conversations (id, user_id, title, created_at) values
            ('00000000-0000-4000-8000-0000000000c1', {user}, 'older', '2026-01-01'),
            ('00000000-0000-4000-8000-0000000000c2', {user}, 'newer, empty', '2026-01-02'),
            ('00000000-0000-4000-8000-0000000000c3', null, 'nobody''s', '2026-01-03');
        insert into public.messages (conversation_id, role, content, created_at)
        select ('00000000-0000-4000-8000-0000000000c' || c)::uuid, 'agent', 'said ' || n,
            '2026-02-01'::timestamptz + n * interval '1 minute'
        from generate_series(1, 50) n, (values (1), (3)) as which (c);
        """
    )
    with running_lite([file, *migrations()]) as server:
        yield server


@pytest.fixture
async def older_client(older: Lite) -> AsyncClient:
    return await acreate_client(older.url, older.secret_key)


async def test_a_conversation_from_before_opens(older_client: AsyncClient):
    user = "00000000-0000-4000-8000-00000000000a"
    opening = await open_it(
        older_client, UUID("00000000-0000-4000-8000-0000000000c1"), user_id=user
    )
    found = as_record(Conversation, opening["conversation"])
    assert isinstance(found, Conversation)
    assert (found.title, found.user_id, found.status, found.metadata) == (
        "older",
        user,
        "active",
        {},
    )
    assert found.last_message_at == datetime(2026, 2, 1, 0, 50, tzinfo=UTC)
    assert [row["content"] for row in opening["messages"]] == [f"said {n}" for n in range(11, 51)]
    assert (opening["older_messages"], opening["last_message_seq"]) == (10, 0)
    assert opening["previous"] is None
    # The newer one was never talked in.
    previous = (await open_it(older_client, None, user_id=user))["previous"]
    assert previous["title"] == "older"
    nobodys = UUID("00000000-0000-4000-8000-0000000000c3")
    opening = await open_it(older_client, nobodys, user_id=user)
    assert len(opening["messages"]) == 40


async def test_a_user_who_is_no_uuid_has_nothing_there(older_client: AsyncClient):
    mine = UUID("00000000-0000-4000-8000-0000000000c1")
    opening = await open_it(older_client, mine, user_id="ana")
    assert (opening["previous"], opening["messages"]) == (None, [])
    assert "title" not in opening["conversation"]


ANSWERS = {
    # What is asked of each project, and the code of its answer; None is no error.
    "nothing": ("", "PGRST202", "PGRST205"),
    "older": (older_schema(), "PGRST202", None),
}


@pytest.mark.parametrize(("script", "version", "table"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_project_without_our_schema_says_so(
    tmp_path: Path, script: str, version: str, table: str | None
):
    """What `sonora doctor` can tell them apart by."""
    file = tmp_path / "20250101000000_older.sql"
    file.write_text(script or "select 1;")
    with running_lite([file]) as server:
        client = await acreate_client(server.url, server.secret_key)
        with pytest.raises(APIError) as refused:
            await client.rpc("sonora_schema_version").execute()
        assert refused.value.code == version
        look = client.table("messages").select("id").limit(1)
        if table is None:
            await look.execute()
        else:
            with pytest.raises(APIError) as refused:
                await look.execute()
            assert refused.value.code == table


async def test_a_wrong_key_is_refused(lite: Lite):
    client = await acreate_client(lite.url, "sb_secret_" + "x" * 31)
    with pytest.raises(APIError) as refused:
        await client.rpc("sonora_schema_version").execute()
    assert "Invalid API key" in str(refused.value)

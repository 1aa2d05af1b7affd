"""Deleting conversations, and reading them whole, from the journal and Supabase's real API."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from sonora_app.cli import app
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts
from sonora_app.storage.records import Message, Modality, utc_now, uuid7
from sonora_app.storage.supabase.api import SupabaseApi
from tests.supabase.lite import Lite
from tests.supabase.test_shipper_faults import Talk

pytestmark = pytest.mark.supabase

_Result = TypeVar("_Result")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, lite: Lite, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`, on a project; gives its journal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SUPABASE_URL", lite.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite.secret_key)
    return tmp_path / "data" / "journal.db"


def run(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(app, list(arguments), **more)


def in_journal(path: Path, work: Callable[[Journal], Awaitable[_Result]]) -> _Result:
    async def working() -> _Result:
        journal = await Journal.connect(path, outbox=True)
        try:
            return await work(journal)
        finally:
            await journal.aclose()

    return asyncio.run(working())


def in_supabase(work: Callable[[SupabaseApi], Awaitable[_Result]]) -> _Result:
    async def working() -> _Result:
        api = await SupabaseApi.connect(load_settings())
        try:
            return await work(api)
        finally:
            await api.aclose()

    return asyncio.run(working())


def a_talk(days_ago: float = 0) -> Talk:
    talk = Talk()
    then = utc_now() - timedelta(days=days_ago)
    talk.conversation = talk.conversation.model_copy(
        update={"created_at": then, "updated_at": then}
    )
    return talk


def write(path: Path, talk: Talk, days_ago: float = 0, *, ended: bool = True) -> None:
    """Write a call of `talk` of some days ago to the journal."""

    async def work(journal: Journal) -> None:
        for batch in talk.call(2)[: None if ended else -1]:
            await journal.write(
                [
                    record.model_copy(
                        update={
                            name: getattr(record, name) - timedelta(days=days_ago)
                            for name in ("created_at", "started_at", "ended_at")
                            if getattr(record, name, None) is not None
                            and record is not talk.conversation
                        }
                    )
                    for record in batch
                ]
            )

    in_journal(path, work)


def here(path: Path, talk: Talk) -> bool:
    return in_journal(path, lambda j: j.transcript(talk.conversation.id)) is not None


def there(talk: Talk) -> bool:
    return in_supabase(lambda api: api.transcript(talk.conversation.id)) is not None


def chat(conversation_id: UUID, content: str | None, days_ago: float = 0, **more: Any) -> None:
    """Write a message as the text-chat API does."""
    row = {
        "conversation_id": str(conversation_id),
        "role": "agent",
        "content": content,
        "created_at": (utc_now() - timedelta(days=days_ago)).isoformat(),
        **more,
    }
    in_supabase(lambda api: api.rows(lambda client: client.table("messages").insert(row)))


@contextmanager
def down(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("SUPABASE_URL", "http://127.0.0.1:9")
        yield


def test_delete_removes_it_everywhere_and_nothing_comes_back(machine: Path) -> None:
    talk, other = a_talk(), a_talk()
    write(machine, talk)
    write(machine, other)
    assert run("sync").exit_code == 0
    write(machine, talk)

    async def refuse_one(journal: Journal) -> None:
        entries = await journal.outbox.batch(3)
        await journal.outbox.settle([], {entries[2].position: "no"})

    in_journal(machine, refuse_one)
    result = run("conversations", "delete", str(talk.conversation.id), "--yes")
    assert (result.exit_code, result.stdout) == (0, "Deleted.\n")
    assert in_journal(machine, lambda j: j.outbox.counts()) == Counts(0, 0)
    assert run("sync").exit_code == 0
    assert not here(machine, talk)
    assert not there(talk)
    assert here(machine, other)
    assert there(other)
    left = in_supabase(
        lambda api: api.rows(
            lambda client: (
                client.table("messages")
                .select("id")
                .eq("conversation_id", str(talk.conversation.id))
            )
        )
    )
    assert left == []
    again = run("conversations", "delete", str(talk.conversation.id), "--yes")
    assert again.exit_code == 2
    assert "There is no conversation" in again.stderr


def test_delete_asks_first(machine: Path) -> None:
    talk = a_talk()
    write(machine, talk)
    for answer in ("n\n", ""):
        result = run("conversations", "delete", str(talk.conversation.id), input=answer)
        assert result.exit_code == 1
        assert "2 messages? Here and in Supabase." in result.stderr
        assert here(machine, talk)
    assert run("conversations", "delete", str(talk.conversation.id), input="y\n").exit_code == 0
    assert not here(machine, talk)


def test_delete_of_what_only_supabase_has(machine: Path) -> None:
    talk = a_talk()
    write(machine, talk)
    assert run("sync").exit_code == 0
    for file in machine.parent.glob("journal*"):
        file.unlink()
    assert run("conversations", "delete", str(talk.conversation.id), "--yes").exit_code == 0
    assert not there(talk)
    assert not machine.exists()


def test_when_supabase_cannot_be_reached_nothing_is_deleted(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = a_talk(90)
    write(machine, talk, 90)
    assert run("sync").exit_code == 0
    with down(monkeypatch):
        for arguments in (("delete", str(talk.conversation.id)), ("prune", "--older-than", "30")):
            result = run("conversations", *arguments, "--yes")
            assert result.exit_code == 1
            assert "Supabase cannot be reached" in result.stderr
            assert "Nothing was deleted" in result.stderr
            assert result.stdout == ""
    assert here(machine, talk)
    assert there(talk)


def test_what_a_bot_has_still_to_ship_is_not_deleted_under_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = a_talk(90)
    write(machine, talk, 90)
    monkeypatch.setattr("sonora_app.storage.removal._PATIENCE_SECS", 0.3)

    async def both(journal: Journal) -> list[Result]:
        assert journal.outbox.claim()
        return [
            await asyncio.to_thread(run, "conversations", *arguments, "--yes")
            for arguments in (
                ("delete", str(talk.conversation.id)),
                ("prune", "--older-than", "30"),
            )
        ]

    deleted, pruned = in_journal(machine, both)
    assert deleted.exit_code == 1
    assert "still on its way" in deleted.stderr
    assert pruned.exit_code == 0
    assert here(machine, talk)
    assert in_journal(machine, lambda j: j.outbox.counts()).pending > 0


@pytest.mark.parametrize("known_by", ["journal", "supabase"])
def test_a_call_that_goes_on_is_left_alone(machine: Path, known_by: str) -> None:
    talk = a_talk(90)
    write(machine, talk, 90)
    assert run("sync").exit_code == 0

    async def during(journal: Journal) -> Result:
        batches = talk.call(0)
        session = batches[0][1]
        if known_by == "journal":
            await journal.write(batches[0])
        else:
            row = session.model_dump(mode="json")
            api = await SupabaseApi.connect(load_settings())
            await api.rows(lambda client: client.table("sessions").insert(row))
            await api.aclose()
        pruned = await asyncio.to_thread(
            run, "conversations", "prune", "--older-than", "30", "--yes"
        )
        assert pruned.exit_code == 0
        return await asyncio.to_thread(
            run, "conversations", "delete", str(talk.conversation.id), "--yes"
        )

    result = in_journal(machine, during)
    assert result.exit_code == 1
    assert "A call goes on" in result.stderr
    assert here(machine, talk)
    assert there(talk)


def test_prune_goes_by_the_last_message_wherever_it_is(machine: Path) -> None:
    old, new, chatted, waits, fresh = (a_talk(90) for _ in range(5))
    write(machine, old, 90)
    write(machine, chatted, 90)
    write(machine, new, 90)
    assert run("sync").exit_code == 0
    # Went on in writing; and here, where Supabase does not know of it yet.
    chat(chatted.conversation.id, "¿Seguimos?", 1)
    write(machine, new, 1)
    write(machine, waits, 90)
    write(machine, fresh, 2)
    untouched = uuid4()
    in_supabase(
        lambda api: api.rows(
            lambda client: client.table("conversations").insert(
                {
                    "id": str(untouched),
                    "created_at": (utc_now() - timedelta(days=60)).isoformat(),
                }
            )
        )
    )
    result = run("conversations", "prune", "--older-than", "30", "--yes", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["deleted"] >= 3
    for talk, kept in ((old, False), (waits, False), (chatted, True), (new, True), (fresh, True)):
        assert here(machine, talk) is kept
    assert run("sync").exit_code == 0
    for talk, kept in ((old, False), (waits, False), (chatted, True), (new, True), (fresh, True)):
        assert there(talk) is kept
    assert in_supabase(lambda api: api.transcript(untouched)) is None


def test_prune_in_more_than_one_batch(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonora_app.storage.removal._BATCH", 2)
    talks = [a_talk(90) for _ in range(5)]
    for talk in talks:
        write(machine, talk, 90)
    assert run("sync").exit_code == 0
    kept = talks[2]
    chat(kept.conversation.id, "otra vez")
    assert run("conversations", "prune", "--older-than", "30", "--yes").exit_code == 0
    assert [there(talk) for talk in talks] == [talk is kept for talk in talks]
    assert [here(machine, talk) for talk in talks] == [talk is kept for talk in talks]


def test_export_has_everything_from_both(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = a_talk()
    write(machine, talk)
    assert run("sync").exit_code == 0
    identifier = str(talk.conversation.id)
    rows = [
        {
            "conversation_id": identifier,
            "role": "user",
            "content": f"escrito {number}",
            "created_at": (utc_now() + timedelta(milliseconds=number)).isoformat(),
        }
        for number in range(1_100)
    ]
    in_supabase(lambda api: api.rows(lambda client: client.table("messages").insert(rows)))
    chat(talk.conversation.id, None, images=["https://example.org/a.png"])
    chat(talk.conversation.id, "borrado", deleted_at=utc_now().isoformat())

    async def go_on(journal: Journal) -> None:
        for seq, more in ((3, {"modality": Modality.TEXT}), (4, {"interrupted": True})):
            await journal.write(
                [
                    Message(
                        id=uuid7(),
                        conversation_id=talk.conversation.id,
                        seq=seq,
                        role="user",
                        content=f"sin enviar {seq}",
                        created_at=utc_now(),
                        **more,
                    )
                ]
            )

    in_journal(machine, go_on)
    exported = json.loads(run("conversations", "export", identifier).stdout)["messages"]
    said = [message["content"] for message in exported]
    assert len(said) == 2 + 1_100 + 1 + 2
    assert set(said) >= {f"escrito {number}" for number in range(1_100)}
    assert "borrado" not in said
    by_seq = {message["seq"]: message for message in exported if message["seq"]}
    assert by_seq[3]["modality"] == "text"
    assert by_seq[4]["interrupted"] is True
    moments = [message["created_at"] for message in exported]
    assert moments == sorted(moments)
    markdown = run("conversations", "export", identifier, "--format", "markdown").stdout
    assert all(content in markdown for content in said if content)
    assert "with an image" in markdown
    listed = json.loads(run("conversations", "list", "--json", "--limit", "1000").stdout)
    assert identifier in {each["id"] for each in listed}

    with down(monkeypatch):
        result = run("conversations", "export", identifier)
        assert result.exit_code == 0
        assert "from the journal alone" in result.stderr
        assert len(json.loads(result.stdout)["messages"]) == 4


def test_what_was_deleted_there_is_not_exported_from_here(machine: Path) -> None:
    talk = a_talk()
    write(machine, talk)
    assert run("sync").exit_code == 0
    identifier = str(talk.conversation.id)
    in_supabase(
        lambda api: api.rows(
            lambda client: (
                client.table("messages")
                .update({"deleted_at": utc_now().isoformat()})
                .eq("conversation_id", identifier)
                .eq("seq", 1)
            )
        )
    )
    exported = json.loads(run("conversations", "export", identifier).stdout)["messages"]
    assert [message["seq"] for message in exported] == [2]


def test_list_has_what_is_in_either(machine: Path) -> None:
    shipped, waits = a_talk(), a_talk()
    write(machine, shipped)
    assert run("sync").exit_code == 0
    write(machine, waits)
    listed = json.loads(run("conversations", "list", "--json", "--limit", "1000").stdout)
    ids = [each["id"] for each in listed]
    assert ids.count(str(shipped.conversation.id)) == ids.count(str(waits.conversation.id)) == 1
    assert ids.index(str(waits.conversation.id)) < ids.index(str(shipped.conversation.id))

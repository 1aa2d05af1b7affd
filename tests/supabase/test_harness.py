"""What the tests of Supabase stand on: it says what it misses, and cleans up."""

import asyncio
import json
import os
from pathlib import Path

import httpx
import pytest
from supabase import acreate_client

from tests.supabase import postgres as postgres_module
from tests.supabase.lite import Lite, running_lite
from tests.supabase.postgres import running_postgres, scalar

pytestmark = pytest.mark.supabase

NODE_FILES = Path(__file__).with_name("node")


def test_without_postgresql_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(postgres_module, "_DEBIAN_BINARIES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(RuntimeError, match="scripts/test installs it"),
        running_postgres(),
    ):
        pass


def test_without_node_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match="need Node 20 or newer"), running_lite():
        pass


def test_two_clusters_run_at_once_and_leave_nothing():
    with running_postgres() as one, running_postgres() as other:
        folders = [one.folder, other.folder]
        pids = [
            int((folder / "data" / "postmaster.pid").read_text().split()[0]) for folder in folders
        ]
        with one.database() as first, other.database() as second:
            for database in (first, second):
                with database.connect() as connection:
                    assert scalar(connection, "select current_setting('is_superuser')") == "off"
    assert not any(folder.exists() for folder in folders)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_lite_keeps_what_it_has_when_it_is_stopped_and_started():
    with running_lite() as server:
        client = await acreate_client(server.url, server.secret_key)
        await client.table("conversations").insert({"title": "kept"}).execute()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        answer = await client.table("conversations").select("title").execute()
        assert answer.data == [{"title": "kept"}]


def test_lite_does_not_serve_without_a_key(lite: Lite):
    assert httpx.get(f"{lite.url}/rest/v1/conversations").status_code == 401


def test_the_lock_file_names_no_place_to_download_from():
    lock = json.loads((NODE_FILES / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert all("resolved" not in each and "integrity" in each for each in packages.values())

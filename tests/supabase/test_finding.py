"""Conversations are found in Supabase, and their calls added up, as they are in the journal."""

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from benchmarks.finding.conversations import begun
from benchmarks.finding.project import serving
from benchmarks.finding.questions import found, questions, told
from benchmarks.finding.stores import filled_stores
from sonora_app.storage.wanted import Wanted, WantedCall
from tests.supabase.postgres import Connection, Database, scalar
from tests.supabase.schema import migrations
from tests.supabase.seeded import ANA, seed

pytestmark = pytest.mark.supabase

_CALLS = 120
"""So many that a conversation of each kind is among them."""


async def test_supabase_says_what_the_journal_says(database: Database) -> None:
    asked = questions(_CALLS)
    calls = {
        "that failed, of a version": WantedCall(failure="model_unavailable", version="1"),
        "of a flow, of a time": WantedCall(flow="f1", since=begun(20), until=begun(80)),
    }
    for name, call in calls.items():
        asked[name] = lambda store, call=call: store.conversations(Wanted(call=call))
    with serving(database) as project:
        async with filled_stores(_CALLS, project) as stores:
            for name, ask in asked.items():
                here, there = [await ask(store) for store in stores.values()]
                assert told(there) == told(here), name
                assert (found(here) > 0) is (name != "a word nobody said"), name


_NOTHING: tuple[Any, ...] = (0, [], None, 0, None, 0, None, 0, False)
"""The figures of a call of which nothing is known."""


def _figures(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select flow, ended, answers, waits_ms, worst_wait_ms, turns_cut, failures, prompt_tokens,"
        " currency, cost, cost_known from public.call_figures"
    ).fetchall()


def test_the_figures_of_a_call_are_those_of_its_metrics(migrated: Database) -> None:
    with migrated.acting_as("service_role") as connection:
        seed(connection, ANA)
        assert _figures(connection) == [(None, None, *_NOTHING)]
        metrics = {
            "flow_version": "f",
            "turns_answered": 2,
            "waits_ms": [300, 500],
            "latency_ms": {"worst": 500},
            "turns_cut": 1,
            "failures": {"model_unavailable": 2},
            "prompt_tokens": 10,
            "summary_prompt_tokens": 5,
            "cost": {"currency": "USD", "known": 0.5, "total": None},
        }
        change = "update public.sessions set end_reason = 'error', metrics = %s"
        connection.execute(change, (Jsonb(metrics),))
        whole = ("f", "error", 2, [300, 500], 500, 1, {"model_unavailable": 2}, 15, "USD", 0.5)
        assert _figures(connection) == [(*whole, False)]
        # A call is written whatever somebody took for metrics.
        for odd in ("[]", '"none"', '{"turns_answered": "many", "waits_ms": ["long"], "cost": 1}'):
            connection.execute(change, (odd,))
            assert _figures(connection) == [(None, "error", *_NOTHING)]
        connection.execute("delete from public.sessions")
        assert _figures(connection) == []


def test_calls_that_were_there_before_are_added_up_too(database: Database) -> None:
    earlier = [file for file in migrations() if "_call_figures" not in file.name]
    assert len(earlier) == len(migrations()) - 1
    database.migrate(earlier)
    with database.connect() as connection:
        rows = seed(connection, ANA)
        connection.execute("""update public.sessions set metrics = '{"turns_answered": 3}'""")
        before = scalar(connection, "select public.sonora_figures()")
        database.migrate()
        assert scalar(connection, "select public.sonora_figures()") == before
        assert before["sums"][0][3:5] == [1, 3]
        kept = "select xmin::text, answers from public.call_figures where session_id = %s"
        once = connection.execute(kept, (rows.sessions,)).fetchall()
        database.migrate()
        assert connection.execute(kept, (rows.sessions,)).fetchall() == once
        connection.execute("update public.conversations set deleted_at = now()")
        assert scalar(connection, "select public.sonora_figures()")["sums"] == []

"""Finds conversations in the journal, by what was said in them and by how they went."""

import json
import sqlite3
from collections.abc import Callable, Set
from typing import Any
from uuid import UUID

from sonora_app.storage.journal.as_records import to_record
from sonora_app.storage.journal.outbox_rows import sql_time
from sonora_app.storage.labels import as_name
from sonora_app.storage.listing import Hit, Listing, Listings
from sonora_app.storage.records import Conversation, ConversationStatus, EndReason, utc_now
from sonora_app.storage.wanted import (
    ANY_CALL,
    LONGEST_CALL,
    SLOW_MS,
    Wanted,
    WantedCall,
    excerpt,
    holds,
)

_SAID = "number IN (SELECT rowid FROM said_words WHERE said_words MATCH :match)"
_WHICH = {
    "user_id": "user_id = :user_id",
    "status": "status = :status",
    "since": "coalesce(last_message_at, created_at) >= :since",
    "until": "coalesce(last_message_at, created_at) < :until",
    "match": f"id IN (SELECT conversation_id FROM said WHERE {_SAID}"  # noqa: S608  # ours
    " UNION ALL SELECT value FROM json_each(:cut))",
    "failed": "id IN (SELECT conversation_id FROM sessions WHERE end_reason IN ('error', 'crashed')"
    " UNION ALL SELECT conversation_id FROM tool_calls WHERE status IN ('failed', 'unknown'))",
    "slow": "id IN (SELECT conversation_id FROM sessions"
    " WHERE json_extract(metrics, '$.latency_ms.worst') >= :slow)",
    "outcome": "json_extract(metadata, '$.outcome') = :outcome",
    "label": "id IN (SELECT conversation_id FROM labels"
    " WHERE name = :label AND removed_at IS NULL)",
}
# Few conversations are only here, if any: the other tests are worked out for those alone.
_ONLY_HERE = (
    "CASE WHEN shipping <> 1 OR id IN (SELECT row_id FROM outbox WHERE operation = 'insert'"
    " UNION ALL SELECT row_id FROM set_aside WHERE operation = 'insert') THEN {} END"
)
_WHICH_CALL = {
    "call_since": "minute >= :call_since",
    "call_until": "minute < :call_until",
    "call_ended": "ended = :call_ended",
    "call_cut": "turns_cut > 0",
    "call_failure": "(json_extract(failures, '$.' || :call_failure) > 0 OR :call_failure = 'tool'"
    " AND session_id IN (SELECT session_id FROM tool_calls WHERE status IN ('failed', 'unknown')))",
    "call_version": "version = :call_version",
    "call_flow": "flow = :call_flow",
}
_HAD_CALL = (
    "id IN (SELECT conversation_id FROM sessions WHERE id IN"
    " (SELECT session_id FROM call_figures WHERE {}))"
)
# Conversations that nobody has talked in yet come last. What fits is worked out once.
_PAGE = """
    WITH fitting AS MATERIALIZED (
        SELECT id, last_message_at, created_at FROM conversations WHERE {}
    )
    SELECT conversations.*, (SELECT count(*) FROM fitting) AS total FROM (
        SELECT * FROM fitting
        ORDER BY last_message_at DESC, created_at DESC, id DESC LIMIT :limit OFFSET :offset
    ) AS page JOIN conversations ON conversations.id = page.id
    ORDER BY page.last_message_at DESC, page.created_at DESC, page.id DESC
"""
_UNENDED = """
    SELECT conversation_id, process_id, started_at FROM sessions
    WHERE ended_at IS NULL AND conversation_id IN (SELECT value FROM json_each(:ids))
"""
_LABELS = """
    SELECT conversation_id, name FROM labels
    WHERE removed_at IS NULL AND conversation_id IN (SELECT value FROM json_each(:ids))
"""
# What was said in the parts of a turn that was cut in two, each part with the one before it.
_PARTS = """
    SELECT later.id, later.continues, later.conversation_id, later.content,
        earlier.content AS begun
    FROM messages AS later JOIN messages AS earlier
        ON earlier.id = later.continues AND earlier.conversation_id = later.conversation_id
    WHERE later.continues IS NOT NULL AND later.role = 'user' AND earlier.role = 'user'
        AND later.deleted_at IS NULL AND earlier.deleted_at IS NULL
    ORDER BY later.created_at, later.seq
"""
_HITS = f"""
    SELECT said.conversation_id, message_id, min(number),
        coalesce(content, title || ' · ' || summary, title, summary, '') AS words
    FROM said JOIN conversations ON conversations.id = said.conversation_id
        LEFT JOIN messages ON messages.id = message_id
    WHERE {_SAID} AND said.conversation_id IN (SELECT value FROM json_each(:ids))
    GROUP BY said.conversation_id
"""  # noqa: S608  # ours


def read_listings(
    connection: sqlite3.Connection,
    lives: Callable[[str | None], bool],
    wanted: Wanted,
    limit: int,
    offset: int,
    only_here: bool,
) -> Listings:
    """What `Journal.conversations` gives, within the caller's transaction.

    `lives` tells of a process that began a call whether it lives.
    """
    if wanted.in_vain:
        return Listings()
    in_cut = _in_cut_turns(connection, wanted.words)
    values: dict[str, Any] = {
        "cut": json.dumps(list(in_cut)),
        "user_id": wanted.user_id,
        "status": wanted.status,
        "since": wanted.since and sql_time(wanted.since),
        "until": wanted.until and sql_time(wanted.until),
        "match": " ".join(f'"{word}"*' for word in wanted.words) or None,
        "failed": wanted.failed or None,
        "slow": SLOW_MS if wanted.slow else None,
        "outcome": wanted.outcome,
        "label": as_name(wanted.label) or None,
    }
    tests = [sql for name, sql in _WHICH.items() if values[name] is not None]
    if wanted.call != ANY_CALL:
        of_call = _of_call(wanted.call)
        values |= of_call
        such = [sql for name, sql in _WHICH_CALL.items() if of_call[name] is not None]
        tests.append(_HAD_CALL.format(" AND ".join(such)))
    which = " AND ".join(tests) or "true"
    if only_here:
        which = _ONLY_HERE.format(which)
    page = {"limit": max(0, limit), "offset": max(0, offset)}
    rows = connection.execute(_PAGE.format(which), values | page).fetchall()
    if rows or not offset:
        total = rows[0]["total"] if rows else 0
    else:
        count = f"SELECT count(*) FROM conversations WHERE {which}"  # noqa: S608  # ours
        total = connection.execute(count, values).fetchone()[0]
    ids = [row["id"] for row in rows]
    calls, dead = _unended(connection, lives, ids)
    hits = in_cut | _hits(connection, ids, wanted, values["match"])
    labels = _labels(connection, ids)
    return Listings(
        (
            Listing(
                _as_it_stands(to_record(Conversation, row), dead),
                row["message_count"],
                calling=row["id"] in calls,
                hit=hits.get(row["id"]),
                labels=tuple(labels[row["id"]]),
            )
            for row in rows
        ),
        total,
    )


def _unended(
    connection: sqlite3.Connection, lives: Callable[[str | None], bool], ids: list[str]
) -> tuple[Set[str], Set[str]]:
    """Those of `ids` that a call may still go on in, and the others with a call of a dead bot.

    Nobody has ended that call yet: the next start of a bot does.
    """
    rows = connection.execute(_UNENDED, {"ids": json.dumps(ids)}).fetchall()
    living = {each for each in {row["process_id"] for row in rows} if lives(each)}
    held = {row["conversation_id"] for row in rows if row["process_id"] in living}
    lately = sql_time(utc_now() - LONGEST_CALL)
    calls = {
        row["conversation_id"]
        for row in rows
        if row["process_id"] in living and row["started_at"] > lately
    }
    return calls, {row["conversation_id"] for row in rows} - held


def _as_it_stands(conversation: Conversation, dead: Set[str]) -> Conversation:
    """A conversation whose call died is what `find_orphans` will make of it."""
    if conversation.status != ConversationStatus.ACTIVE or str(conversation.id) not in dead:
        return conversation
    return conversation.model_copy(update={"status": EndReason.CRASHED.status})


def _of_call(call: WantedCall) -> dict[str, Any]:
    return {
        "call_since": call.since and call.since.timestamp() // 60,
        "call_until": call.until and call.until.timestamp() // 60,
        "call_ended": call.ended,
        "call_cut": call.cut or None,
        "call_failure": call.failure,
        "call_version": call.version,
        "call_flow": call.flow,
    }


def _labels(connection: sqlite3.Connection, ids: list[str]) -> dict[str, list[str]]:
    names: dict[str, set[str]] = {each: set() for each in ids}
    for row in connection.execute(_LABELS, {"ids": json.dumps(ids)}):
        names[row["conversation_id"]].add(row["name"])
    return {each: sorted(of) for each, of in names.items()}


def _in_cut_turns(connection: sqlite3.Connection, words: tuple[str, ...]) -> dict[str, Hit]:
    """Of each conversation, the first turn that was cut in two and has all of the words, if any."""
    hits: dict[str, Hit] = {}
    if len(words) < 2:
        # It is in one of the parts.
        return hits
    turns: dict[str, str] = {}
    for row in connection.execute(_PARTS):
        begun = turns.get(row["continues"], row["begun"] or "")
        turn = turns[row["id"]] = f"{begun} {row['content'] or ''}"
        if holds(turn, words):
            hits.setdefault(row["conversation_id"], Hit(UUID(row["id"]), excerpt(turn, words)))
    return hits


def _hits(
    connection: sqlite3.Connection, ids: list[str], wanted: Wanted, match: str | None
) -> dict[str, Hit]:
    """Of each conversation, the first that was said of what was looked for."""
    if match is None:
        return {}
    rows = connection.execute(_HITS, {"match": match, "ids": json.dumps(ids)})
    return {
        row["conversation_id"]: Hit(
            UUID(row["message_id"]) if row["message_id"] else None,
            excerpt(row["words"], wanted.words),
        )
        for row in rows
    }

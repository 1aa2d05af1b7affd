"""Many calls together, in the journal.

`call_figures` has a row for each call, with a column for each figure. To add up 20,000 calls takes
a tenth of a second; to take the figures out of the calls' metrics takes longer. Triggers keep the
rows, and each goes with its call.
"""

import sqlite3

from sonora_app.storage.figures import (
    BUCKET_MS,
    Counted,
    Figures,
    FiguresWanted,
    GroupedBy,
    SumRow,
    put_together,
)

_COLUMNS = """
    session_id, minute, version, flow, ended, answers, waits, prompt_tokens, completion_tokens,
    cost, cost_known, currency, turns_cut, early_answers, early_answers_withdrawn, failures
"""


def _metric(name: str) -> str:
    return f"json_extract({{call}}.metrics, '$.{name}')"


# What is read of one call, a row of `sessions` named {call}.
_READ = f"""
    {{call}}.id,
    CAST(strftime('%s', {{call}}.started_at) AS INTEGER) / 60,
    {{call}}.app_version,
    {_metric("flow_version")},
    {{call}}.end_reason,
    coalesce({_metric("turns_answered")}, 0),
    {{waits}},
    coalesce({_metric("prompt_tokens")}, 0) + coalesce({_metric("summary_prompt_tokens")}, 0),
    coalesce({_metric("completion_tokens")}, 0)
        + coalesce({_metric("summary_completion_tokens")}, 0),
    coalesce({_metric("cost.known")}, 0.0),
    {_metric("cost.total")} IS NOT NULL,
    {_metric("cost.currency")},
    coalesce({_metric("turns_cut")}, 0),
    coalesce({_metric("early_answers")}, 0),
    coalesce({_metric("early_answers_withdrawn")}, 0),
    nullif({_metric("failures")}, '{{{{}}}}')
"""
# The waits of calls of earlier versions stand with the answers alone.
_EARLIER_WAITS = """(
    SELECT json_group_array(json_extract(answer.metrics, '$.latency.total_ms'))
    FROM messages AS answer WHERE answer.session_id = sessions.id
        AND json_extract(answer.metrics, '$.latency.total_ms') IS NOT NULL
)"""
_NEW = _READ.format(call="NEW", waits=_metric("waits_ms").format(call="NEW"))
_KEPT = _READ.format(call="sessions", waits=_EARLIER_WAITS)

SCHEMA = (
    """
    CREATE TABLE call_figures (
        session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        minute INTEGER NOT NULL,
        version TEXT NOT NULL,
        flow TEXT,
        ended TEXT,
        answers INTEGER NOT NULL,
        waits TEXT,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        cost_known INTEGER NOT NULL,
        currency TEXT,
        turns_cut INTEGER NOT NULL,
        early_answers INTEGER NOT NULL,
        early_answers_withdrawn INTEGER NOT NULL,
        failures TEXT
    ) WITHOUT ROWID
    """,
    f"INSERT INTO call_figures ({_COLUMNS}) SELECT {_KEPT} FROM sessions",  # noqa: S608  # ours
    *(
        f"""
        CREATE TRIGGER {name} AFTER {event} ON sessions BEGIN
            INSERT OR REPLACE INTO call_figures ({_COLUMNS}) VALUES ({_NEW});
        END
        """  # noqa: S608  # ours
        for name, event in (
            ("call_begun", "INSERT"),
            ("call_changed", "UPDATE OF metrics, end_reason"),
        )
    ),
    "CREATE INDEX tool_calls_failed ON tool_calls (session_id)"
    " WHERE status IN ('failed', 'unknown')",
)

_KEYS = {
    GroupedBy.DAY: "(minute + :zone) / 1440",
    GroupedBy.VERSION: "version",
    GroupedBy.FLOW: "flow",
}
_WHICH = "minute >= :since AND minute < :until"
_SUMS = """
    SELECT {key} AS key, ended, currency, count(*) AS calls, sum(answers) AS answers,
        sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
        sum(cost) AS cost, sum(cost_known) AS cost_known, sum(turns_cut) AS turns_cut,
        sum(early_answers) AS early_answers,
        sum(early_answers_withdrawn) AS early_answers_withdrawn
    FROM call_figures WHERE {which} GROUP BY 1, 2, 3
"""
_WAITS = """
    SELECT {key}, CAST(wait.value AS INTEGER) / {bucket}, count(*)
    FROM call_figures, json_each(waits) AS wait WHERE {which} GROUP BY 1, 2
"""
_FAILURES = """
    SELECT {key}, failure.key, sum(failure.value)
    FROM call_figures, json_each(failures) AS failure WHERE failures IS NOT NULL AND {which}
    GROUP BY 1, 2
    UNION ALL
    SELECT {key}, 'tool', count(*)
    FROM tool_calls JOIN call_figures USING (session_id)
    WHERE status IN ('failed', 'unknown') AND {which}
    GROUP BY 1
"""
_ALWAYS = 1 << 40


def read_figures(connection: sqlite3.Connection, wanted: FiguresWanted) -> Figures:
    """What `Store.figures` gives, within the caller's transaction."""
    values = {
        "zone": wanted.zone_minutes,
        "since": wanted.since.timestamp() // 60 if wanted.since else -_ALWAYS,
        "until": wanted.until.timestamp() // 60 if wanted.until else _ALWAYS,
    }
    words = {"key": _KEYS[wanted.by], "which": _WHICH, "bucket": BUCKET_MS}
    sums = [SumRow(*row) for row in connection.execute(_SUMS.format(**words), values)]
    waits, failures = (
        [_counted(row) for row in connection.execute(query.format(**words), values)]
        for query in (_WAITS, _FAILURES)
    )
    return put_together(sums, waits, failures)


def _counted(row: sqlite3.Row) -> Counted:
    return row[0], row[1], row[2]

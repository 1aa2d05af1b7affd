"""The journal's part in the reports of calls: which call is meant, and which report is still due.

Where a webhook is followed, a trigger puts each call that ends in `reports_due`, in the transaction
that ends it. So no report is lost, whatever becomes of the process then.
"""

import sqlite3
import time
from dataclasses import dataclass
from uuid import UUID

from sonora_app.storage.journal.database import Transact
from sonora_app.storage.known_calls import KnownCall

_NOW = "((julianday('now') - 2440587.5) * 86400.0)"

# report_webhook  one row while reports are sent; `within_secs` is how long a call that has ended is
#                 still described.
# reports_due     due_at is null once the report was sent, or given up; times are seconds since 1970
SCHEMA = (
    """
    CREATE TABLE report_webhook (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        within_secs REAL NOT NULL
    )
    """,
    """
    CREATE TABLE reports_due (
        session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        ended_at REAL NOT NULL,
        due_at REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        sent_at REAL,
        problem TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX reports_due_next ON reports_due (due_at) WHERE due_at IS NOT NULL",
    f"""
    CREATE TRIGGER call_ended AFTER UPDATE OF ended_at ON sessions
    WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
        INSERT INTO reports_due (session_id, ended_at, due_at)
        SELECT NEW.id, {_NOW}, {_NOW} + within_secs FROM report_webhook WHERE true
        ON CONFLICT DO NOTHING;
    END
    """,  # noqa: S608  # ours
    "CREATE INDEX sessions_by_time ON sessions (started_at, id)",
)

_CLAIM = """
    UPDATE reports_due SET attempts = attempts + 1, due_at = :until
    WHERE session_id = (
        SELECT session_id FROM reports_due WHERE due_at <= :now ORDER BY due_at LIMIT 1
    )
    RETURNING session_id, attempts, ended_at,
        (SELECT conversation_id FROM sessions WHERE sessions.id = session_id) AS conversation_id
"""
# A call that ended while nothing was followed has no row yet.
_MAKE_DUE = """
    INSERT INTO reports_due (session_id, ended_at, due_at)
    SELECT id, :now, :now FROM sessions WHERE id = :id AND ended_at IS NOT NULL
    ON CONFLICT DO UPDATE SET due_at = :now WHERE attempts = 0 AND due_at IS NOT NULL
"""
_CALLS = """
    SELECT sessions.id, sessions.conversation_id, sessions.started_at
    FROM sessions ORDER BY started_at DESC, id DESC LIMIT :limit
"""


@dataclass(frozen=True)
class DueReport:
    """A report that is to be sent now.

    Parameters:
        session_id: The call.
        conversation_id: The conversation that it belongs to.
        attempts: How often it is sent, with this one.
        ended_at: When the call ended, in seconds since 1970.
    """

    session_id: UUID
    conversation_id: UUID
    attempts: int
    ended_at: float


class Reports:
    """What the journal knows of calls' reports. Every method may raise `StorageError`."""

    def __init__(self, transact: Transact) -> None:
        """Made by the journal."""
        self._transact = transact

    async def follow(self, within_secs: float) -> None:
        """Have the report of each call that ends from here on become due.

        Args:
            within_secs: How long after its end a call may still be described, in seconds.
        """
        await self._write(
            "INSERT INTO report_webhook (id, within_secs) VALUES (1, :secs)"
            " ON CONFLICT (id) DO UPDATE SET within_secs = :secs",
            {"secs": within_secs},
        )

    async def follow_no_more(self) -> None:
        """Have no report become due any more; what is due is given up."""

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute("DELETE FROM report_webhook").rowcount:
                connection.execute("DELETE FROM reports_due")

        await self._transact(work, write=True)

    async def follows(self) -> bool:
        """Whether reports become due."""
        return await self._transact(
            lambda rows: rows.execute("SELECT 1 FROM report_webhook").fetchone() is not None,
            write=False,
        )

    async def make_due(self, session_id: UUID) -> None:
        """A call is described: its report is due now, unless it was tried before."""
        await self._write(_MAKE_DUE, {"id": str(session_id), "now": time.time()})

    async def claim(self, lease_secs: float) -> DueReport | None:
        """The report that is due longest, for this process alone as long as the lease lasts.

        Args:
            lease_secs: After how long another process takes it, if this one dies meanwhile.
        """
        now = time.time()

        def work(connection: sqlite3.Connection) -> DueReport | None:
            values = {"now": now, "until": now + lease_secs}
            rows = connection.execute(_CLAIM, values).fetchall()
            return _due(rows[0]) if rows else None

        return await self._transact(work, write=True)

    async def next_in(self) -> float | None:
        """In how many seconds the next report is due; None: there is none."""
        row = await self._transact(
            lambda rows: rows.execute("SELECT min(due_at) FROM reports_due").fetchone(), write=False
        )
        return None if row[0] is None else max(0.0, row[0] - time.time())

    async def sent(self, session_id: UUID) -> None:
        """A report was taken."""
        await self._write(
            "UPDATE reports_due SET due_at = NULL, sent_at = :now, problem = NULL"
            " WHERE session_id = :id",
            {"id": str(session_id), "now": time.time()},
        )

    async def put_off(self, session_id: UUID, problem: str, secs: float | None) -> None:
        """A report was not taken. One that somebody else sent meanwhile stays sent.

        Args:
            session_id: The call.
            problem: Why, in a few words.
            secs: After how long it is tried again; None: it is given up.
        """
        await self._write(
            "UPDATE reports_due SET due_at = :due, problem = :problem"
            " WHERE session_id = :id AND sent_at IS NULL",
            {
                "id": str(session_id),
                "due": None if secs is None else time.time() + secs,
                "problem": problem,
            },
        )

    async def calls(self, limit: int) -> tuple[KnownCall, ...]:
        """The calls that began last, the newest first."""
        rows = await self._transact(
            lambda connection: connection.execute(_CALLS, {"limit": limit}).fetchall(), write=False
        )
        return tuple(KnownCall.model_validate(dict(row)) for row in rows)

    async def call(self, session_id: UUID) -> KnownCall | None:
        """The call of this id."""
        rows = await self._transact(
            lambda connection: connection.execute(
                "SELECT id, conversation_id, started_at FROM sessions WHERE id = ?",
                (str(session_id),),
            ).fetchall(),
            write=False,
        )
        return KnownCall.model_validate(dict(rows[0])) if rows else None

    async def _write(self, statement: str, values: dict[str, object]) -> None:
        await self._transact(lambda rows: rows.execute(statement, values), write=True)


def _due(row: sqlite3.Row) -> DueReport:
    return DueReport(
        UUID(row["session_id"]), UUID(row["conversation_id"]), row["attempts"], row["ended_at"]
    )

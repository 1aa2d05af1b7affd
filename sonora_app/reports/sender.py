"""Sends the report of each call that has ended to a webhook, from what the journal holds.

A report is signed, and sent until it is taken: with longer and longer pauses, for three days. Each
time it has the call's id as its own, by which the other side knows one that comes twice, since a
process that dies between an answer and noting it sends it again. All of it is done on the journal's
thread, away from the calls.
"""

import asyncio
import random
import time
from contextlib import suppress
from http import HTTPStatus
from uuid import UUID

import httpx
from loguru import logger

from sonora_app import __version__
from sonora_app.errors import StorageError
from sonora_app.reports.report import report_of
from sonora_app.reports.signing import signed_headers
from sonora_app.runtime.retry_after import asked_wait_secs
from sonora_app.settings.addresses import host_and_port, is_on_this_machine
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.report_rows import DueReport
from sonora_app.storage.records import EndReason
from sonora_app.storage.side_loop import Signal

_ATTEMPT_SECS = 10.0
"""How long one attempt may take, whatever the other side does meanwhile."""

_LEASE_SECS = 3 * _ATTEMPT_SECS
"""After how long an attempt counts as one of a process that died."""

_FIRST_PAUSE_SECS, _LONGEST_PAUSE_SECS = 5.0, 3_600.0
"""How long to wait after a first attempt, and at most; no more is believed of `Retry-After`."""

_ASKS_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_GIVE_UP_SECS = 3 * 86_400.0
_LOOK_SECS = 5.0
"""How often to look for reports that nobody said are due: those of other processes' calls."""


class ReportSender:
    """Sends reports.

    Args:
        journal: Where the calls are kept.
        url: Where reports go.
        key: What they are signed with.
        with_words: Whether what was said is in them.
        within_secs: How long after its end a call may still be described, in seconds.
        pause_secs: How long to wait after a first attempt that failed, in seconds.
        attempt_secs: How long one attempt may take, in seconds.
    """

    def __init__(
        self,
        journal: Journal,
        url: str,
        key: bytes,
        *,
        with_words: bool,
        within_secs: float,
        pause_secs: float = _FIRST_PAUSE_SECS,
        attempt_secs: float = _ATTEMPT_SECS,
    ) -> None:
        """Send nothing yet; `run` does."""
        self._journal = journal
        self._url = url
        self._key = key
        self._with_words = with_words
        self._within_secs = within_secs
        self._pause_secs = pause_secs
        self._attempt_secs = attempt_secs
        self._followed: int | None = None
        self._held_until = 0.0
        self._woken = Signal()
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Send what is due, until cancelled. To run on the journal's side loop."""
        # The time-out of each attempt is for all of it; httpx's own are for single reads.
        async with httpx.AsyncClient(
            timeout=None,  # noqa: S113
            trust_env=not is_on_this_machine(self._url),
        ) as client:
            while True:
                wait = await self._round(client)
                self._idle.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(wait, _LOOK_SECS)):
                        await self._woken.wait()
                self._woken.clear()

    async def send_soon(self, session_id: UUID) -> None:
        """A call has ended and is described: send its report, and return when that was tried.

        To run on the journal's side loop.
        """
        with suppress(StorageError):
            # What is not noted now is due a moment later by itself.
            await self._journal.reports.make_due(session_id)
        self._idle.clear()
        self._woken.set()
        await self._idle.wait()

    async def _round(self, client: httpx.AsyncClient) -> float:
        """Send what is due. Gives in how many seconds the next is."""
        reports = self._journal.reports
        try:
            generation = self._journal.generation
            # Another process, to which no address is set, may have had it end.
            if self._followed != generation or not await reports.follows():
                await reports.follow(self._within_secs)
                self._followed = generation
            while not (held := self._held_secs()) and (due := await reports.claim(_LEASE_SECS)):
                await self._send(client, due)
            wait = held or await reports.next_in()
        except StorageError as error:
            logger.warning(f"Reports of calls cannot be read: {error}")
            return _LOOK_SECS
        return _LOOK_SECS if wait is None else wait

    async def _send(self, client: httpx.AsyncClient, due: DueReport) -> None:
        gone, asked = False, None
        try:
            body = await self._body(due)
            if body is None:
                await self._journal.reports.put_off(due.session_id, "erased", None)
                return
            answer = await self._post(client, due, body)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001  # one report must not hold up all others
            problem = type(error).__name__
        else:
            status = answer.status_code
            if answer.is_success:
                await self._journal.reports.sent(due.session_id)
                return
            problem, gone = f"HTTP {status}", status == HTTPStatus.GONE
            asked = asked_wait_secs(answer.headers) if status in _ASKS_TO_WAIT else None
        await self._put_off(due, problem, asked, gone=gone)

    async def _post(self, client: httpx.AsyncClient, due: DueReport, body: bytes) -> httpx.Response:
        """Send a report once. Gives what it was answered by, without the body."""
        headers = {
            "content-type": "application/json",
            "user-agent": f"Sonora/{__version__}",
            **signed_headers(self._key, due.session_id, int(time.time()), body),
        }
        async with (
            asyncio.timeout(self._attempt_secs),
            client.stream("POST", self._url, content=body, headers=headers) as response,
        ):
            # What follows the headers is not read: it may have no end.
            return response

    def _held_secs(self) -> float:
        """For how long the other side has asked to be left alone, from now on; 0: it has not."""
        return max(0.0, self._held_until - time.monotonic())

    async def _put_off(
        self, due: DueReport, problem: str, asked: float | None, *, gone: bool
    ) -> None:
        pause = min(_LONGEST_PAUSE_SECS, self._pause_secs * 2 ** min(due.attempts - 1, 20))
        # Calls that ended together do not come back together.
        pause *= random.uniform(0.8, 1.2)  # noqa: S311
        if asked:
            # All reports go to the same place, so all of them wait.
            held = min(asked, _LONGEST_PAUSE_SECS) * random.uniform(1.0, 1.2)  # noqa: S311
            self._held_until = time.monotonic() + held
            pause = max(pause, held)
        given_up = gone or time.time() + pause - due.ended_at > _GIVE_UP_SECS
        await self._journal.reports.put_off(due.session_id, problem, None if given_up else pause)
        told = f"The report of session {due.session_id} is not taken by {host_and_port(self._url)}"
        if given_up:
            logger.error(f"{told} ({problem}), and is given up after {due.attempts} attempts")
        else:
            logger.warning(f"{told} ({problem}): tried again in {pause:.0f} s")

    async def _body(self, due: DueReport) -> bytes | None:
        """The report; None where the call, or all there is of its person, is erased."""
        transcript = await self._journal.transcript(due.conversation_id)
        sessions = transcript.sessions if transcript else ()
        session = next((each for each in sessions if each.id == due.session_id), None)
        if transcript is None or session is None or session.end_reason is EndReason.ERASED:
            return None
        report = report_of(transcript, session, with_words=self._with_words)
        return report.model_dump_json().encode()

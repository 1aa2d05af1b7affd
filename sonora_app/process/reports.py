"""What sends the reports of this process's calls, where the settings name an address."""

import asyncio
import contextlib
from concurrent.futures import Future
from typing import TYPE_CHECKING
from uuid import UUID

from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal

if TYPE_CHECKING:
    # Not needed where nothing is sent.
    from sonora_app.reports.sender import ReportSender


class ReportSending:
    """The sender of a process, on the journal's side loop; nothing where no address is set."""

    def __init__(self) -> None:
        """Send nothing until `start`."""
        self._started: tuple[Journal, ReportSender, Future[None]] | None = None

    async def start(self, journal: Journal, settings: Settings) -> None:
        """Begin to send what is due, and what becomes due.

        Raises:
            StorageError: The journal cannot be read or written.
            SettingsError: An address is set without a secret.
        """
        if not settings.sends_reports:
            if await journal.reports.follows():
                await journal.reports.follow_no_more()
            return
        from sonora_app.reports.sender import ReportSender

        within_secs = settings.summary_secs + settings.drain_secs
        await journal.reports.follow(within_secs)
        sender = ReportSender(
            journal,
            settings.report_url,
            settings.report_key,
            with_words=settings.report_words,
            within_secs=within_secs,
        )
        self._started = journal, sender, journal.side.start(sender.run())

    async def call_ended(self, session_id: UUID | None, *, within_secs: float) -> None:
        """Send the report of a call, which is kept and described by now.

        Args:
            session_id: The call; None had no conversation.
            within_secs: How long to wait for the first attempt, in seconds. The host of the process
                may end it after that.
        """
        if self._started is None or session_id is None:
            return
        journal, sender, _ = self._started
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_secs):
                await journal.side.run(sender.send_soon(session_id))

    async def stop(self) -> None:
        """Send no more. What is due is sent by the next process."""
        started, self._started = self._started, None
        if started is not None:
            started[2].cancel()


reports = ReportSending()
"""What sends the reports of this process."""

"""Keeps the sound of a call, both sides, where a setting and the person want it kept.

It begins when the conversation is open and the person agrees: they said so in the page, or say so
to the bot, which asks. What the user says is taken as it arrives, and what the bot says as it is
played, so that what was cut off is not in it. `runtime/two_tracks.py` writes it. When the person
takes it back, what was recorded of the talk is erased.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from loguru import logger
from pipecat.frames.frames import (
    InputAudioRawFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.worker import PipelineWorker

from sonora_app.call.beginning.consent import Asker, Consent, sound_of
from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.call.beginning.returning import kept_state
from sonora_app.call.context_changes import replaced_in_context, transformed
from sonora_app.call.presence.presence import Presence
from sonora_app.errors import StorageError
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.flow.lines import Lines
from sonora_app.page.protocol import RecordingChanged
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.runtime.two_tracks import TwoTracks
from sonora_app.settings import Settings
from sonora_app.storage.files.files import Files
from sonora_app.storage.files.kept_file import KeptFile
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import SessionUpdate

_CLOSED_SECS = 5.0
"""How long the end of a call waits for the file; it is whole up to its last page at any time."""
_ERASED_SECS = 2.0
"""How long the answer waits for the erasure, which goes on after that."""


class SoundCall(Protocol):
    """The parts of a call that keeping its sound uses. See `Call`."""

    settings: Settings
    page: ScreenedRTVIProcessor
    worker: PipelineWorker
    presence: Presence
    driver: FlowDriver
    opened: OpenedConversation | None
    recorder: Recorder | None

    @property
    def lines(self) -> Lines:
        """See `Call.lines`."""
        ...


class SoundKeeping:
    """Keeps the sound of one call, where its person agrees.

    Args:
        call: The call.
        files: Where it is kept.

    Attributes:
        told_now: What the model is told of it, word for word; empty where nothing is recorded.
    """

    def __init__(self, call: SoundCall, files: Files) -> None:
        """Wait for the conversation."""
        self._call = call
        self._files = files
        self._consent: Consent | None = None
        self._file: KeptFile | None = None
        self._tracks: TwoTracks | None = None
        self._failing = False
        self._deciding = asyncio.Lock()
        self._erasing: asyncio.Task[bool] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.told_now = ""
        call.driver.moved.add(self._moved)

    @property
    def on(self) -> bool:
        """Whether the sound is being kept."""
        return self._tracks is not None

    def prompt(self) -> str:
        """What the model is told, from here on."""
        opened = self._call.opened
        agreed = self._consent.agreed if self._consent else opened and opened.consent.agreed
        if opened is None or not self._possible(opened):
            self.told_now = ""
        elif agreed is None:
            self.told_now = self._call.lines.text("prompt.recording.ask")
        else:
            key = "on" if agreed and not self._failing else "off"
            self.told_now = self._call.lines.text(f"prompt.recording.{key}")
        return self.told_now

    # --- For the flow's handlers

    async def allow(self, allowed: bool, *, by: Asker = "voice") -> dict[str, Any]:
        """Do what the person has said: record, or stop and erase what was recorded of the talk.

        Args:
            allowed: Whether they agree.
            by: Where they said it.

        Returns:
            What the model is told of it.
        """
        async with self._deciding:
            opened = self._call.opened
            if opened is not None and not allowed:
                return await self._refuse(opened, by)
            if opened is None or not self._possible(opened):
                return {"status": "off", "note": "This call cannot be recorded."}
            if not self.on:
                if not await self._erased():
                    return {"status": "failed", "note": "It cannot be recorded right now."}
                await self._begin(opened, Consent(True, by, parts=opened.consent.parts))
                await self._decided()
            if not self.on:
                return {"status": "failed", "note": "It cannot be recorded right now."}
            return {"status": "recording"}

    async def close(self) -> None:
        """The call is over: the file is whole, and goes where the others go."""
        tracks, file = self._let_go(), self._file
        for task in self._tasks - {self._erasing}:
            task.cancel()
        try:
            async with asyncio.timeout(_CLOSED_SECS):
                if tracks is not None and file is not None:
                    await asyncio.to_thread(tracks.close)
                    await self._files.finish(file)
                if self._erasing is not None:
                    await asyncio.shield(self._erasing)
        except (TimeoutError, StorageError) as error:
            logger.warning(f"A recording could not be finished in time: {error}")

    # --- What it follows

    async def _moved(self, _: Move) -> None:
        opened = self._call.opened
        if self._consent is not None or opened is None:
            return
        self._consent = consent = opened.consent
        if consent.agreed and self._possible(opened):
            await self._begin(opened, consent)
        elif consent.agreed is False:
            # It holds in the call that goes on with this one, too.
            self._call.driver.state.update(consent.state())
            if consent.parts:
                self._erasing = self._do(self._erase(opened, consent.parts, None))

    def _failed(self, tracks: TwoTracks) -> None:
        """The file takes nothing any more. The call goes on, and its page knows."""
        if tracks is self._tracks:
            self._let_go()
            self._failing = True
            self._call.page.tell_soon(RecordingChanged(on=False))
            self._do(self._retell())

    # --- What it does

    def _possible(self, opened: OpenedConversation) -> bool:
        """Whether it may be kept at all. Not while it is open whose conversation it is."""
        return self._call.settings.recording and opened.complete

    async def _begin(self, opened: OpenedConversation, consent: Consent) -> None:
        file = sound_of(opened.owner_id, opened.conversation_id, opened.session_id)
        consent = replace(consent, parts=(*consent.parts, opened.session_id))
        self._consent, self._failing = consent, False
        self._call.driver.state.update(consent.state())
        try:
            path = await self._files.begin(file)
        except StorageError as error:
            self._failing = True
            logger.error(f"A call is not recorded: {error}")
            return
        self._file = file
        self._write(path)

    def _write(self, path: Path) -> None:
        loop = asyncio.get_running_loop()

        def failed(tracks: TwoTracks) -> None:
            # Not where the process is ending just now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._failed, tracks)

        self._tracks = tracks = TwoTracks(path, failed)

        def heard(frame: InputAudioRawFrame) -> None:
            tracks.add(TwoTracks.LEFT, frame.audio, frame.sample_rate)

        def played(frame: OutputAudioRawFrame) -> None:
            tracks.add(TwoTracks.RIGHT, frame.audio, frame.sample_rate)

        self._call.presence.on_sound = heard
        self._call.presence.on_played = played

    def _let_go(self) -> TwoTracks | None:
        """Take no more sound. Gives what wrote it."""
        tracks, self._tracks = self._tracks, None
        if tracks is not None:
            self._call.presence.on_sound = self._call.presence.on_played = None
        return tracks

    async def _refuse(self, opened: OpenedConversation, by: Asker) -> dict[str, Any]:
        tracks, self._file = self._let_go(), None
        parts = self._consent.parts if self._consent else ()
        # The parts too: a call that goes on with the talk erases what a crash leaves of them.
        self._consent = Consent(False, by, parts=parts)
        self._call.driver.state.update(self._consent.state())
        await self._decided()
        if not parts:
            return {"status": "not_recorded"}
        if self._erasing is None or self._erasing.done():
            self._erasing = self._do(self._erase(opened, parts, tracks))
        if await self._erased():
            return {"status": "erased", "note": "What was recorded of this call is erased."}
        return {"status": "not_recorded", "note": "What was recorded of it is being erased."}

    async def _decided(self) -> None:
        """Have it kept with the call, and known to the page and to the model."""
        opened, recorder, consent = self._call.opened, self._call.recorder, self._consent
        if recorder is not None and opened is not None and consent is not None:
            state = kept_state(self._call.driver.state)
            recorder.stands(self._call.driver.node, state=state)
            metrics = consent.kept(self._file)
            recorder.keep([SessionUpdate(id=opened.session_id, metrics=metrics)])
        self._call.page.tell_soon(RecordingChanged(on=self.on))
        await self._retell()

    async def _retell(self) -> None:
        """Have the model know it from its next answer on."""
        old, new = self.told_now, self.prompt()
        if old and old != new:
            await self._call.worker.queue_frame(transformed(replaced_in_context(old, new)))

    async def _erase(
        self, opened: OpenedConversation, parts: tuple[UUID, ...], tracks: TwoTracks | None
    ) -> bool:
        """Erase what was recorded in these calls. Gives whether all of it is gone."""
        if tracks is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSED_SECS):
                    await asyncio.to_thread(tracks.close)
        gone = True
        for part in parts:
            try:
                await self._files.remove(sound_of(opened.owner_id, opened.conversation_id, part))
            except StorageError as error:
                gone = False
                logger.error(
                    f"The recording of session {part} could not be erased, which its person asked "
                    f"for: {error} Delete its conversation, or its file in Supabase Storage."
                )
        return gone

    async def _erased(self) -> bool:
        """Wait a moment for what is being erased. Gives whether nothing is left of it."""
        if self._erasing is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ERASED_SECS):
                return await asyncio.shield(self._erasing)
        return False

    def _do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name="sonora-sound")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

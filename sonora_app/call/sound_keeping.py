"""Keeps the sound of a call, both sides, where a setting and the person want it kept.

It begins when the conversation is open. What the user says is taken as it arrives, and what the bot
says as it is played, so that what was cut off is not in it. `runtime/two_tracks.py` writes it.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame

from sonora_app.call.opening import OpenedConversation
from sonora_app.call.presence import Presence
from sonora_app.errors import StorageError
from sonora_app.flow.driver import FlowDriver, Move
from sonora_app.page.protocol import RecordingChanged
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.runtime.two_tracks import TwoTracks
from sonora_app.storage.files.files import Files
from sonora_app.storage.files.kept_file import KeptFile

_CLOSED_SECS = 5.0
"""How long the end of a call waits for the file; it is whole up to its last page at any time."""


class SoundCall(Protocol):
    """The parts of a call that keeping its sound uses. See `Call`."""

    page: ScreenedRTVIProcessor
    presence: Presence
    driver: FlowDriver
    opened: OpenedConversation | None


class SoundKeeping:
    """Keeps the sound of one call, if its session says so.

    Args:
        call: The call.
        files: Where it is kept.
    """

    def __init__(self, call: SoundCall, files: Files) -> None:
        """Wait for the conversation."""
        self._call = call
        self._files = files
        self._file: KeptFile | None = None
        self._tracks: TwoTracks | None = None
        call.driver.moved.add(self._moved)

    @property
    def on(self) -> bool:
        """Whether the sound is being kept."""
        return self._tracks is not None

    async def close(self) -> None:
        """The call is over: the file is whole, and goes where the others go."""
        tracks, file = self._let_go(), self._file
        if tracks is None or file is None:
            return
        try:
            async with asyncio.timeout(_CLOSED_SECS):
                await asyncio.to_thread(tracks.close)
            await self._files.finish(file)
        except (TimeoutError, StorageError) as error:
            logger.warning(f"A recording could not be finished in time: {error}")

    async def _moved(self, _: Move) -> None:
        opened = self._call.opened
        if self._file is not None or opened is None or opened.sound is None:
            return
        self._file = file = opened.sound
        try:
            path = await self._files.begin(file)
        except StorageError as error:
            logger.error(f"A call is not recorded: {error}")
            return
        self._begin(path)

    def _begin(self, path: Path) -> None:
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

    def _failed(self, tracks: TwoTracks) -> None:
        """The file takes nothing any more. The call goes on, and its page knows."""
        if tracks is self._tracks:
            self._let_go()
            self._call.page.tell_soon(RecordingChanged(on=False))

    def _let_go(self) -> TwoTracks | None:
        """Take no more sound. Gives what wrote it."""
        tracks, self._tracks = self._tracks, None
        if tracks is not None:
            self._call.presence.on_sound = self._call.presence.on_played = None
        return tracks

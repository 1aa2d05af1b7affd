"""Keeps the sound of a call, both sides, where a setting and the person want it kept.

It begins when the conversation is open. What the user says is taken as it arrives, and what the bot
says as it is played, so that what was cut off is not in it. `runtime/two_tracks.py` writes it.
"""

import asyncio
from pathlib import Path

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame

from sonora_app.call.call import Call
from sonora_app.errors import StorageError
from sonora_app.flow.driver import Move
from sonora_app.runtime.two_tracks import TwoTracks
from sonora_app.storage.files.files import Files
from sonora_app.storage.files.kept_file import KeptFile

_CLOSED_SECS = 5.0
"""How long the end of a call waits for the file; it is whole up to its last page at any time."""


class SoundKeeping:
    """Keeps the sound of one call, if its session says so.

    Args:
        call: The call.
        files: Where it is kept.
    """

    def __init__(self, call: Call, files: Files) -> None:
        """Wait for the conversation."""
        self._call = call
        self._files = files
        self._file: KeptFile | None = None
        self._tracks: TwoTracks | None = None
        call.driver.moved.add(self._moved)

    async def close(self) -> None:
        """The call is over: the file is whole, and goes where the others go."""
        tracks, file = self._tracks, self._file
        if tracks is None or file is None:
            return
        self._call.presence.on_sound = self._call.presence.on_played = None
        self._tracks = None
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
        await asyncio.to_thread(self._begin, path)

    def _begin(self, path: Path) -> None:
        self._tracks = tracks = TwoTracks(path)

        def heard(frame: InputAudioRawFrame) -> None:
            tracks.add(TwoTracks.LEFT, frame.audio, frame.sample_rate)

        def played(frame: OutputAudioRawFrame) -> None:
            tracks.add(TwoTracks.RIGHT, frame.audio, frame.sample_rate)

        self._call.presence.on_sound = heard
        self._call.presence.on_played = played

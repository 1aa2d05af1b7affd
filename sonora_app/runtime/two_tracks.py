"""Writes the sound of a call to a file while it is heard: one side left, the other right.

The file is Ogg with Opus. It grows on the disk by a page every half a second, and can be played up
to the last page, also after `kill -9`. In memory there is a second and a half of sound. Whoever
adds a piece only puts it in a queue. A thread takes what is there twice a second, places it by the
time at which it came, and encodes it: to wake for each piece would take more time than to encode.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

if TYPE_CHECKING:
    import numpy as np

RATE = 24_000
"""Of the file, in Hz: what the voice has. Opus takes it."""

_BIT_RATE = 64_000
"""Of both sides together: 31 MB an hour, as measured with speech on both by turns."""
_EFFORT = "0"
"""Of 10. From 1 on libopus takes more than twice the time, and half as much room again."""
_FRAME = RATE // 50
_TAKEN_EACH_SECS = 0.5
"""How often what came is encoded."""
_BEHIND_SECS = 0.4
"""A side of which nothing came for so long is silent."""
_GAP_SECS = 0.1
"""From how late a piece has silence before it; less is the network's unevenness."""
_MOST_WAITING = 1_500
"""Pieces in the queue: half a minute of both sides. Beyond that the disk does not keep up."""

_Piece = tuple[int, bytes, int, float]


class TwoTracks:
    """A file of two sides.

    Args:
        path: The file, which is there and empty.
        failed: Called from another thread, with this, when the file takes nothing any more.
    """

    LEFT, RIGHT = 0, 1

    def __init__(
        self, path: Path, failed: Callable[["TwoTracks"], object] = lambda _: None
    ) -> None:
        """Begin the file, and the thread that writes it."""
        self._path = path
        self._failed = failed
        self._began = time.monotonic()
        self._came: deque[_Piece] = deque()
        self._closing = threading.Event()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="sonora-recording", daemon=True)
        self._thread.start()

    def add(self, side: int, sound: bytes, rate: int) -> None:
        """Add a piece of one side's sound that was heard just now.

        Args:
            side: `LEFT` or `RIGHT`.
            sound: 16-bit samples of one channel.
            rate: Their rate in Hz.
        """
        if len(self._came) < _MOST_WAITING:
            self._came.append((side, sound, rate, time.monotonic()))
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write what is left, and wait until the file is whole."""
        self._closing.set()
        self._thread.join()
        if self._dropped:
            logger.warning(f"{self._dropped} pieces of a recording are lost: the disk is too slow")

    # What follows runs on the thread.

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  # a full disk must not end the call
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            logger.error(
                f"A call is not recorded any more: {why}. What was recorded stays. Make room in "
                "SONORA_DATA_DIR, or set it to a folder that it may use."
            )
            self._failed(self)

    def _write(self) -> None:
        # Here: a call without a recording does not need it.
        import av

        options = {"page_duration": "500000", "flush_packets": "1"}
        with av.open(str(self._path), "w", format="ogg", options=options) as file:
            stream: Any = file.add_stream(
                "libopus", rate=RATE, layout="stereo", options={"compression_level": _EFFORT}
            )
            stream.bit_rate = _BIT_RATE
            sides = (_Side(), _Side())
            written = 0
            open_ = True
            while open_:
                open_ = not self._closing.wait(_TAKEN_EACH_SECS)
                now = time.monotonic() - self._began
                self._place(sides)
                for side in sides:
                    side.fill(now - _BEHIND_SECS if open_ else max(each.secs for each in sides))
                known = min(len(side) for side in sides)
                if samples := known - known % _FRAME:
                    frame = _interleaved(sides, samples)
                    frame.pts = written
                    frame.time_base = Fraction(1, RATE)
                    written += samples
                    for packet in stream.encode(frame):
                        file.mux(packet)
            for packet in stream.encode(None):
                file.mux(packet)

    def _place(self, sides: "tuple[_Side, _Side]") -> None:
        for _ in range(len(self._came)):
            side, sound, rate, at = self._came.popleft()
            sides[side].add(sound, rate, at - self._began)
        for side in sides:
            side.place()


class _Side:
    """What came of one side and is not encoded yet."""

    def __init__(self) -> None:
        self._samples = bytearray()
        self._taken = 0
        self._resampler: Any = None
        self._rate = RATE
        self._unplaced = bytearray()

    def __len__(self) -> int:
        return len(self._samples) // 2

    @property
    def secs(self) -> float:
        """Up to where the side is known."""
        unplaced = len(self._unplaced) / 2 / self._rate
        return (self._taken + len(self)) / RATE + unplaced

    def add(self, sound: bytes, rate: int, at_secs: float) -> None:
        """Add what was heard until `at_secs`, with silence before it where there was a gap."""
        began = at_secs - len(sound) / 2 / rate
        if rate != self._rate or began - self.secs > _GAP_SECS:
            self.place()
            self._begin(rate)
            if began - self.secs > _GAP_SECS:
                self.fill(began)
        self._unplaced += sound

    def place(self) -> None:
        """Resample what was added since, in one piece."""
        sound, self._unplaced = bytes(self._unplaced), bytearray()
        if sound:
            self._samples += self._resampled(sound)

    def fill(self, until_secs: float) -> None:
        """Add silence up to a time, where nothing came."""
        lacking = int((until_secs - self.secs) * RATE)
        if lacking > 0:
            self._samples += bytes(2 * lacking)

    def take(self, samples: int) -> "np.ndarray[Any, Any]":
        """The first of them."""
        import numpy as np

        taken = np.frombuffer(bytes(self._samples[: 2 * samples]), np.int16)
        del self._samples[: 2 * samples]
        self._taken += samples
        return taken

    def _begin(self, rate: int) -> None:
        if rate == self._rate:
            return
        import av

        self._rate = rate
        self._resampler = av.AudioResampler("s16", "mono", RATE) if rate != RATE else None

    def _resampled(self, sound: bytes) -> bytes:
        if self._resampler is None:
            return sound
        import av
        import numpy as np

        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(sound, np.int16).reshape(1, -1), "s16", "mono"
        )
        frame.sample_rate = self._rate
        return b"".join(
            bytes(each.to_ndarray().tobytes()) for each in self._resampler.resample(frame)
        )


def _interleaved(sides: "tuple[_Side, _Side]", samples: int) -> Any:  # noqa: ANN401  # PyAV's frame
    import av
    import numpy as np

    both = np.empty((1, 2 * samples), np.int16)
    both[0, 0::2], both[0, 1::2] = (side.take(samples) for side in sides)
    frame = av.AudioFrame.from_ndarray(both, "s16", "stereo")
    frame.sample_rate = RATE
    return frame

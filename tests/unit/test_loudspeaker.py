"""The loudspeaker that plays the bot's voice into a room: how much later it comes back."""

import numpy as np
import pytest

from simulators.clients.loudspeaker import Loudspeaker
from simulators.clients.webrtc import FRAME_SECS, MIC_RATE

pytestmark = pytest.mark.unit

FRAME = int(FRAME_SECS * MIC_RATE)
LATER_FRAMES = 6


def test_a_stall_of_the_way_does_not_make_what_comes_back_later_for_good() -> None:
    speaker = Loudspeaker(softer_db=0.0, later_secs=LATER_FRAMES * FRAME_SECS)
    played = [np.full(FRAME, float(number)) for number in range(1, 101)]
    heard: list[float] = []

    def listen(frames: int) -> None:
        heard.extend(float(speaker.take(FRAME)[0]) for _ in range(frames))

    for frame in played[:20]:
        speaker.play(frame)
        listen(1)
    assert heard == [0.0] * LATER_FRAMES + [float(number) for number in range(1, 15)]
    # For a second nothing comes, and then all of it at once.
    listen(50)
    for frame in played[20:70]:
        speaker.play(frame)
    for frame in played[70:]:
        speaker.play(frame)
        listen(1)
    assert heard[-1] == pytest.approx(100 - LATER_FRAMES, abs=5)

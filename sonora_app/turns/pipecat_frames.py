"""Frames in the form in which Pipecat's own strategy takes them."""

from pipecat.audio.vad.vad_analyzer import VAD_STOP_SECS
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)

MORE_TO_COME = InterimTranscriptionFrame(text="", user_id="", timestamp="")
"""Has what came so far taken for less than all of it."""


def final(text: str) -> TranscriptionFrame:
    """What tells Pipecat's strategy that all is transcribed, and ends in `text`."""
    return TranscriptionFrame(text=text, user_id="", timestamp="", finalized=True)


def as_pipecat_stops(stopped: VADUserStoppedSpeakingFrame) -> VADUserStoppedSpeakingFrame:
    """The same end of speech, reported after the silence that Pipecat has by default.

    Pipecat warns of any other, since its figures of recognisers are for that one. They count from
    the end of speech all the same.
    """
    return VADUserStoppedSpeakingFrame(
        stop_secs=VAD_STOP_SECS,
        timestamp=stopped.timestamp - stopped.stop_secs + VAD_STOP_SECS,
    )

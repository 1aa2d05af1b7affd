"""The messages about keeping the sound of a call. Part of `protocol.py`."""

from typing import Literal

from sonora_app.page.messages import Event, Inbound


class SetRecording(Inbound):
    """The person agrees, during a call, to have its sound kept; or takes that back.

    `recording` false stops it, and erases what was recorded of the talk.
    """

    recording: bool


class RecordingChanged(Event):
    """From here on the call's sound is kept, or is not. `ready` said how it was before."""

    event: Literal["recording"] = "recording"
    on: bool

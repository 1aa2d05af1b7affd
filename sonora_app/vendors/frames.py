"""What the services are told of the user's speech and pauses, by what notices them (`turns/`)."""

from dataclasses import dataclass, field

from pipecat.frames.frames import ControlFrame, SystemFrame


@dataclass
class UserHushedFrame(SystemFrame):
    """The user may have fallen silent. Comes before each `UserPausedFrame`, if only just.

    Parameters:
        quiet_secs: For how long already, in seconds.
    """

    quiet_secs: float = 0.0


@dataclass
class UserPausedFrame(SystemFrame):
    """The user has fallen silent, maybe for a moment only.

    Parameters:
        quiet_secs: For how long already, in seconds.
    """

    quiet_secs: float = 0.0


@dataclass
class UserResumedFrame(SystemFrame):
    """The user went on before the hush, or the pause, counted as the end of their speech."""


@dataclass
class UserStirredFrame(SystemFrame):
    """A pause that was silent is so no longer: the user may be going on. Silero tells later."""


@dataclass
class UserSpokeBrieflyFrame(SystemFrame):
    """There was a voice too short for Silero to report: a “sí”, a letter, or no word at all.

    Parameters:
        quiet_secs: How long it has been over, in seconds.
    """

    quiet_secs: float = 0.0


@dataclass
class NoTurnFrame(ControlFrame):
    """What was recognised up to here was no turn: it acknowledged the bot, or was its own voice.

    It keeps its place among the transcripts, which a system frame would overtake.
    """

    interruptible: bool = field(default=False, init=False)

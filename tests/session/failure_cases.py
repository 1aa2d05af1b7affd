"""What fails, at which vendor, and when; and what is to come of it. Held by `failure_calls.py`."""

from dataclasses import dataclass
from enum import StrEnum


class At(StrEnum):
    """What fails."""

    NOVA = "Deepgram Nova"
    FLUX = "Deepgram Flux"
    OPENAI = "OpenAI"
    CARTESIA = "Cartesia"
    PAGE = "The page"
    DISK = "The disk"


class When(StrEnum):
    """The moment at which it fails."""

    CONNECT = "as it is connected to"
    GREETING = "in the greeting"
    TURN = "in mid-turn"
    FOR_GOOD = "after the greeting, for good"


class How(StrEnum):
    """The way in which it fails."""

    REFUSES = "refuses connections"
    KEY = "401"
    RATE = "429"
    ERROR = "500"
    DROPS = "drops the connection"
    STALLS = "stalls"
    GARBAGE = "sends what is no JSON"
    DRIPS = "drips"
    NULLS = "leaves fields out, sends null for them, and counts tokens oddly"
    THINKS = "answers with a thought, markup and half a character, and no word"
    NO_SUCH = "calls functions that do not exist, again and again"
    STEPS = "calls the same function again and again"
    CUT_OFF = "breaks off in the arguments of a call"
    ODD_CALL = "ends the conversation with arguments of other types, in calls without id or number"
    LENGTH = "stops for length in mid-sentence"
    FILTER = "stops for its content filter in mid-sentence"
    REFUSES_ONE = "refuses what is asked (400)"
    KEY_ONCE = "401, once"
    WAIT = "429, to be asked again in 30 s"
    TOO_LONG = "refuses a prompt as too long, until it is shorter"
    LOSES = "shows words, and sends a final result without any"
    LOSES_TWICE = "shows words, and sends final results without any, also when it is asked again"
    TWICE = "sends the final result twice"
    LATE = "sends the final result 3 s late"
    ANEW = "loses its connection, and connects anew"
    TEXTS = "sends three texts at once"
    FULL = "is full, until the answer was heard"


@dataclass(frozen=True)
class Case:
    """One failure, and what is to come of it.

    Parameters:
        at: Which vendor fails.
        how: In which way.
        when: At which moment.
        kept: What is said until it has been dealt with, each heard in full and kept: the keys of
            fixed lines, `request` and `answer`, and with an ellipsis what is cut off.
        page: The codes that the page is told, each once however often it follows on itself.
        back: What is said once the vendor is back.
        ends: Whether the call ends. If not, it is answered as ever once the vendor is back, or
            by the fallback.
        fallback: Whether there are a second model and a second voice.
    """

    at: At
    how: How
    when: When
    kept: tuple[str, ...]
    page: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    ends: bool = False
    fallback: bool = False

    @property
    def deaf(self) -> bool:
        """Whether nobody is heard any more, so that the user types."""
        return self.when is When.FOR_GOOD and self.at in (At.NOVA, At.FLUX)

    @property
    def unheard(self) -> bool:
        """Whether what the user asks is not recognised, and so not kept."""
        return self.how is How.LOSES_TWICE

    @property
    def breaks_in(self) -> bool:
        """Whether it happens while the bot answers."""
        return self.at is At.PAGE

    @property
    def name(self) -> str:
        """A name for it, of its vendor, fault and moment."""
        parts = (self.at, self.how.name, self.when.name, *(["fallback"] if self.fallback else []))
        return "-".join(parts).lower().replace(" ", "_")


@dataclass
class Outcome:
    """What came of a case.

    Parameters:
        kept: As in the case, to the end of the call.
        page: As in the case.
        ends: Why the page was told that the call ended, if it was.
        filed: The reason, the state and the last transition that are kept of the call's end.
        heard: Whether what is kept of the bot's words had gone out as sound.
        silence_secs: How long the user waited for a sound, from the end of what they said.
    """

    kept: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    ends: str = ""
    filed: tuple[str, ...] = ()
    heard: bool = False
    silence_secs: float = 0.0

    def is_as_in(self, case: Case) -> bool:
        """Whether it is what was to come of `case`."""
        goes_on = () if case.ends else ("again", "answer again")
        said = self.kept == (*case.kept, *case.back, *goes_on)
        if case.ends:
            ended = self.ends == "error" and self.filed == ("error", "failed", "service_failed")
        else:
            ended = not self.ends and self.filed[0] == "client_left"
        return said and ended and self.heard and self.page == case.page


GREETED = "greeting.new"
ASKS = "request"
LOST = "hearing.lost"
BACK = ("hearing.back",)
TEXTS = ("first text", "second text", "third text")
HEARING = "hearing_unavailable"
RESTORED = "hearing_restored"
MODEL = "model_unavailable"
VOICE = "voice_unavailable"

_AT_CONNECT = (How.REFUSES, How.KEY, How.RATE, How.ERROR, How.STALLS, How.DRIPS)
_IN_STREAM = (How.ERROR, How.DROPS, How.STALLS, How.GARBAGE, How.DRIPS)

CASES = (
    *(
        Case(at, how, When.CONNECT, (GREETED, LOST), (HEARING, RESTORED), BACK)
        for at in (At.NOVA, At.FLUX)
        for how in _AT_CONNECT
    ),
    *(Case(at, How.DROPS, When.GREETING, (GREETED, ASKS, "answer")) for at in (At.NOVA, At.FLUX)),
    *(Case(At.NOVA, how, When.TURN, (GREETED, ASKS, "answer")) for how in _IN_STREAM),
    *(
        Case(At.FLUX, how, When.TURN, (GREETED, "request…", "rest", "answer"))
        for how in (How.ERROR, How.DROPS)
    ),
    *(
        Case(At.FLUX, how, When.TURN, (GREETED, "request…", "answer"))
        for how in (How.STALLS, How.DRIPS)
    ),
    Case(At.FLUX, How.GARBAGE, When.TURN, (GREETED, ASKS, "answer")),
    *(
        Case(At.NOVA, how, When.TURN, (GREETED, ASKS, "answer"))
        for how in (How.LOSES, How.TWICE, How.LATE)
    ),
    Case(At.NOVA, How.LOSES_TWICE, When.TURN, (GREETED, "apology.unheard"), (HEARING,)),
    *(
        Case(at, How.REFUSES, When.FOR_GOOD, (GREETED, LOST), (HEARING,))
        for at in (At.NOVA, At.FLUX)
    ),
    *(
        Case(At.OPENAI, how, When.CONNECT, (GREETED, ASKS, "apology.answer"), (MODEL,))
        for how in (How.REFUSES, How.RATE, How.ERROR)
    ),
    Case(At.OPENAI, How.KEY, When.CONNECT, (GREETED, ASKS, "farewell.error"), (MODEL,), ends=True),
    Case(
        At.OPENAI, How.STALLS, When.CONNECT, (GREETED, ASKS, "hold_on", "apology.answer"), (MODEL,)
    ),
    *(
        Case(At.OPENAI, how, When.TURN, (GREETED, ASKS, "answer…", "apology.cut_off"), (MODEL,))
        for how in (How.DROPS, How.STALLS, How.GARBAGE)
    ),
    Case(At.OPENAI, How.DRIPS, When.TURN, (GREETED, ASKS, "hold_on", "apology.answer"), (MODEL,)),
    *(
        Case(At.OPENAI, how, When.TURN, (GREETED, ASKS, "answer"))
        for how in (How.NULLS, How.ODD_CALL, How.KEY_ONCE, How.TOO_LONG)
    ),
    *(
        Case(At.OPENAI, how, When.TURN, (GREETED, ASKS, "apology.answer"), (MODEL,))
        for how in (How.THINKS, How.NO_SUCH, How.STEPS, How.CUT_OFF, How.REFUSES_ONE, How.WAIT)
    ),
    *(
        Case(At.OPENAI, how, When.TURN, (GREETED, ASKS, "answer…", "apology.cut_off"), (MODEL,))
        for how in (How.LENGTH, How.FILTER)
    ),
    *(
        Case(At.OPENAI, how, When.TURN, (GREETED, ASKS, "answer"), fallback=True)
        for how in (How.WAIT, How.REFUSES_ONE)
    ),
    *(Case(At.CARTESIA, how, When.CONNECT, (), (VOICE,), ends=True) for how in _AT_CONNECT),
    *(
        Case(
            At.CARTESIA,
            how,
            When.GREETING,
            ("greeting.new…", "apology.voice", ASKS, "answer"),
            (VOICE,),
        )
        for how in _IN_STREAM
    ),
    *(
        Case(At.CARTESIA, how, When.TURN, (GREETED, ASKS, "answer…", "apology.voice"), (VOICE,))
        for how in _IN_STREAM
    ),
    Case(
        At.OPENAI,
        How.REFUSES,
        When.FOR_GOOD,
        (GREETED, *(ASKS, "apology.answer") * 2, ASKS, "farewell.error"),
        (MODEL,),
        ends=True,
    ),
    Case(At.CARTESIA, How.REFUSES, When.FOR_GOOD, (GREETED, ASKS), (VOICE,), ends=True),
    Case(At.CARTESIA, How.KEY, When.CONNECT, (GREETED,), fallback=True),
    Case(
        At.CARTESIA,
        How.REFUSES,
        When.FOR_GOOD,
        (GREETED, "apology.voice", ASKS, "answer"),
        (VOICE,),
        fallback=True,
    ),
    *(
        Case(At.OPENAI, how, when, (GREETED, ASKS, "answer"), fallback=True)
        for how, when in ((How.KEY, When.CONNECT), (How.REFUSES, When.FOR_GOOD))
    ),
    Case(At.PAGE, How.ANEW, When.TURN, (GREETED, ASKS, "answer…", "still_here")),
    Case(At.PAGE, How.TEXTS, When.TURN, (GREETED, ASKS, "answer…", *TEXTS, "answer")),
    Case(At.DISK, How.FULL, When.TURN, (GREETED, ASKS, "answer"), ("storage",)),
)

"""What a caller will do, and what is to go wrong with it: drawn from a seed before they call."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from benchmarks.soak.phrases import ANSWERED, ASKED, SUMMED_UP, Codes
from simulators.vendors.cartesia import Breakage, Fault

_Kind = TypeVar("_Kind")

FAULT_RATE = 0.2
"""How many of the sentences something goes wrong with."""

_ELSEWHERE = 0.5
"""How many of those who come back by another page come to another process."""

USERS = 8
"""How many people call; each comes back to conversations of their own."""


class Intent(StrEnum):
    """What a sentence is for, which the model understands."""

    TALK = "talk"
    FINISH = "finish"
    DONE = "done"


class SttFault(StrEnum):
    """What the recogniser does when a sentence is over, in place of its transcript."""

    DROP = "drop"
    CLOSE = "close"
    GARBAGE = "garbage"
    NOTHING = "nothing"


class LlmFault(StrEnum):
    """What the model does in place of its answer."""

    ERROR_ONCE = "error once"
    ERROR = "error"
    RATE_LIMIT_ONCE = "rate limit once"
    UNAUTHORIZED = "unauthorized"
    STALL_ONCE = "stall once"
    STALL = "stall"
    DROP_AT_ONCE = "drop before the first token"
    DROP = "drop in mid-answer"
    STALL_IN_ANSWER = "stall in mid-answer"
    SLOW = "slow"
    EMPTY = "empty"
    ODD_ONCE = "odd once"
    ODD = "odd"


@dataclass(frozen=True)
class Utterance:
    """Something a caller says or types, and what becomes of it.

    Parameters:
        code: What it is known by.
        text: The sentence.
        intent: What it is for.
        answer: What the model answers, sentence by sentence, each with a code of its own.
        summing_up: What the model says on winding up, if this was said last.
        stt_fault: What goes wrong at the recogniser, if it is spoken.
        llm_fault: What goes wrong at the model.
        tts_fault: What goes wrong with the voice, in the answer.
    """

    code: str
    text: str
    intent: Intent
    answer: tuple[str, ...]
    summing_up: str
    stt_fault: SttFault | None = None
    llm_fault: LlmFault | None = None
    tts_fault: Fault | None = None

    @property
    def faults(self) -> list[str]:
        """What goes wrong, named."""
        named = [
            self.stt_fault and f"recogniser: {self.stt_fault}",
            self.llm_fault and f"model: {self.llm_fault}",
            self.tts_fault and f"voice: {self.tts_fault.how.name.lower()}",
        ]
        return [name for name in named if name]


class Act(StrEnum):
    """What a caller does."""

    SAY = "say"
    BARGE_IN = "barge in"
    TYPE = "type"
    TYPE_SILENTLY = "type, answer in text"
    PAUSE = "pause"
    OPEN_AGAIN = "open again"
    NONSENSE = "nonsense"
    CONNECT_ANEW = "connect anew in mid-answer"
    RELOAD = "reload in mid-answer"


class Leaving(StrEnum):
    """How a page goes when the caller comes back by another one."""

    HANG_UP = "hangs up"
    VANISH = "vanishes"
    STAY = "stays"


@dataclass(frozen=True)
class Step:
    """One thing a caller does.

    Parameters:
        act: What.
        utterance: What they say or type, if they do.
        secs: How long they pause; or how much of the bot's speech they hear before they cut in, or
            lose their connection.
        leaving: How the page goes that is reloaded.
        elsewhere: Whether the page that is reloaded connects to another process.
    """

    act: Act
    utterance: Utterance | None = None
    secs: float = 0.0
    leaving: Leaving = Leaving.HANG_UP
    elsewhere: bool = False


class Opening(StrEnum):
    """How a caller gets a conversation."""

    NEW = "new"
    NEW_BY_BODY = "new, by the start body"
    RESUME = "resume"
    INTRUDE = "somebody else's first"


class Ending(StrEnum):
    """How a call ends."""

    GOODBYE = "goodbye"
    RESUME_THEN_GOODBYE = "goodbye after all"
    END_CONVERSATION = "end_conversation"
    END_TWICE = "end_conversation twice"
    HANG_UP = "hang up"
    HANG_UP_IN_MID_WORD = "hang up in mid-word"
    VANISH = "vanish"
    DISCONNECT = "disconnect-bot"
    IDLE = "idle"
    OVERSTAY = "overstay"


_ENDINGS = {
    Ending.GOODBYE: 5,
    Ending.RESUME_THEN_GOODBYE: 2,
    Ending.END_CONVERSATION: 2,
    Ending.END_TWICE: 2,
    Ending.HANG_UP: 3,
    Ending.HANG_UP_IN_MID_WORD: 2,
    Ending.VANISH: 1,
    Ending.DISCONNECT: 1,
    Ending.IDLE: 1,
    Ending.OVERSTAY: 1,
}
_OPENINGS = {Opening.NEW: 4, Opening.NEW_BY_BODY: 3, Opening.RESUME: 4, Opening.INTRUDE: 1}
_ACTS = {
    Act.SAY: 6,
    Act.BARGE_IN: 4,
    Act.TYPE: 2,
    Act.TYPE_SILENTLY: 1,
    Act.PAUSE: 2,
    Act.OPEN_AGAIN: 1,
    Act.NONSENSE: 1,
    Act.CONNECT_ANEW: 2,
    Act.RELOAD: 2,
}


@dataclass(frozen=True)
class CallPlan:
    """What a caller will do.

    Parameters:
        name: Which call it is: round, caller, and number.
        language: What is spoken.
        user: Who calls.
        opening: How they get a conversation.
        which: Which of their conversations they resume, from 0 (oldest) to 1.
        steps: What they do in it.
        ending: How it ends.
        last: What is said in the end, if anything is.
        ending_secs: How long they wait before they leave, where they leave by themselves.
        at: Which process they call, from 0 (the first) to 1.
    """

    name: str
    language: str
    user: str
    opening: Opening
    which: float
    steps: tuple[Step, ...]
    ending: Ending
    last: tuple[Utterance, ...]
    ending_secs: float
    at: float = 0.0
    utterances: tuple[Utterance, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Gather everything that will be said."""
        said = [step.utterance for step in self.steps if step.utterance is not None]
        object.__setattr__(self, "utterances", (*said, *self.last))


def draw_plan(numbers: random.Random, codes: Codes, name: str) -> CallPlan:
    """Draw what a caller will do.

    Args:
        numbers: The same state gives the same plan.
        codes: Codes for its sentences.
        name: Which call it is.
    """
    language = numbers.choices(("es", "en"), (3, 1))[0]
    ending = _pick(numbers, _ENDINGS)
    steps = [_draw_step(numbers, codes, language) for _ in range(numbers.randint(1, 5))]
    last = {
        Ending.GOODBYE: (Intent.FINISH, Intent.DONE),
        Ending.RESUME_THEN_GOODBYE: (Intent.FINISH, Intent.TALK, Intent.FINISH, Intent.DONE),
        Ending.END_CONVERSATION: (Intent.DONE,),
        Ending.HANG_UP_IN_MID_WORD: (Intent.TALK,),
    }.get(ending, ())
    return CallPlan(
        name=name,
        language=language,
        user=f"user-{numbers.randrange(USERS)}",
        opening=_pick(numbers, _OPENINGS),
        which=numbers.random(),
        steps=tuple(steps),
        ending=ending,
        last=tuple(_draw_utterance(numbers, codes, language, intent) for intent in last),
        ending_secs=numbers.uniform(0, 3),
        at=numbers.random(),
    )


def _draw_step(numbers: random.Random, codes: Codes, language: str) -> Step:
    act = _pick(numbers, _ACTS)
    match act:
        case Act.PAUSE:
            return Step(act, secs=numbers.uniform(0.5, 5))
        case Act.OPEN_AGAIN | Act.NONSENSE:
            return Step(act)
        case Act.CONNECT_ANEW | Act.RELOAD:
            return Step(
                act,
                _draw_utterance(numbers, codes, language, Intent.TALK),
                secs=numbers.uniform(0, 2.5),
                leaving=numbers.choice([*Leaving]),
                elsewhere=numbers.random() < _ELSEWHERE,
            )
        case _:
            spoken = act in (Act.SAY, Act.BARGE_IN)
            fault = None
            if numbers.random() < FAULT_RATE:
                kinds: Sequence[Sequence[SttFault | LlmFault | Breakage]]
                kinds = ([*SttFault], [*LlmFault], [*Breakage]) if spoken else ([*LlmFault],)
                fault = numbers.choice(numbers.choice(kinds))
            utterance = _draw_utterance(numbers, codes, language, Intent.TALK, fault)
            return Step(act, utterance, secs=numbers.uniform(0.3, 2.5))


def _draw_utterance(
    numbers: random.Random,
    codes: Codes,
    language: str,
    intent: Intent,
    fault: SttFault | LlmFault | Breakage | None = None,
) -> Utterance:
    code = codes.next()
    answers = numbers.choices(ANSWERED[language], k=numbers.randint(1, 3))
    return Utterance(
        code=code,
        text=numbers.choice(ASKED[language]).format(code=code),
        intent=intent,
        answer=tuple(answer.format(code=codes.next()) for answer in answers),
        summing_up=SUMMED_UP[language].format(code=codes.next()),
        stt_fault=fault if isinstance(fault, SttFault) else None,
        llm_fault=fault if isinstance(fault, LlmFault) else None,
        tts_fault=Fault(fault, numbers.choice((0.0, 0.8, 1.6)))
        if isinstance(fault, Breakage)
        else None,
    )


def _pick(numbers: random.Random, weighted: Mapping[_Kind, int]) -> _Kind:
    return numbers.choices([*weighted], [*weighted.values()])[0]

"""What must hold of every call, once it is over: what is kept is what was said."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from benchmarks.soak.caller import OUTCOME_SECS, CallRecord, is_sign
from benchmarks.soak.phrases import codes_in
from benchmarks.soak.studio import Speech
from sonora_app.flow.driver import load_flow_config
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language
from sonora_app.storage.records import EndReason, Message, Modality, Session, Transition
from sonora_app.storage.store import Transcript

_LOST_SECS = 1.5
"""What was recognised or typed this shortly before the end may be lost with it."""

_CUT_OFF = (
    EndReason.CLIENT_LEFT,
    EndReason.SHUTDOWN,
    EndReason.ERROR,
    EndReason.USER_REQUEST,
    EndReason.TAKEN_OVER,
)
"""Ends that may cut the bot off in mid-sentence without anybody barging in."""


@dataclass(frozen=True)
class KeptCall:
    """What is kept of one call, each part in order."""

    session: Session
    messages: Sequence[Message]
    transitions: Sequence[Transition]


@dataclass(frozen=True)
class Case:
    """One call, from both sides.

    Parameters:
        record: What the caller did and saw.
        kept: What is kept of it.
        speeches: What the voice was sent, in this round.
        calm: Whether no vendor refused everybody meanwhile.
        starved: Whether other programs had the processor meanwhile.
        lasting: Whether there was room on the disk all the while.
    """

    record: CallRecord
    kept: KeptCall
    speeches: Sequence[Speech]
    calm: bool
    starved: bool
    lasting: bool = True


def kept_call(transcript: Transcript, record: CallRecord) -> KeptCall | None:
    """What is kept of one call of a conversation, or None when nothing is."""
    sessions = [one for one in transcript.sessions if one.id == record.session_id]
    if len(sessions) != 1:
        return None
    (session,) = sessions
    return KeptCall(
        session,
        [one for one in transcript.messages if one.session_id == session.id],
        [one for one in transcript.transitions if one.session_id == session.id],
    )


def check_call(case: Case) -> Iterator[str]:
    """What does not hold of one call."""
    for check in _CHECKS:
        yield from check(case)
    if case.lasting:
        yield from case.record.strays
    if not case.starved:
        yield from case.record.late
        for check in _TIMED_CHECKS:
            yield from check(case)


def check_conversation(transcript: Transcript) -> Iterator[str]:
    """What does not hold of a conversation of any number of calls."""
    for name, rows in (("messages", transcript.messages), ("transitions", transcript.transitions)):
        numbers = [row.seq or 0 for row in rows]
        # A call of another process may be left room for what it still brings.
        if any(later <= sooner for sooner, later in pairwise(numbers)):
            yield f"the {name} are numbered {numbers}"
        of_calls = [session for session, _ in groupby(rows, key=lambda row: row.session_id)]
        if len(of_calls) != len(set(of_calls)):
            yield f"the {name} of two calls are mixed"
        for session in transcript.sessions:
            of_call = [row.seq or 0 for row in rows if row.session_id == session.id]
            if of_call and of_call != list(range(of_call[0], of_call[0] + len(of_call))):
                yield f"the {name} of one call are numbered {of_call}"
        if len({row.id for row in rows}) != len(rows):
            yield f"there are {name} of one id"
        times = [row.created_at for row in rows]
        if any(later <= sooner for sooner, later in pairwise(times)):
            yield f"the {name} are not in the order of time"


# --- What was said


def _what_the_user_said(case: Case) -> Iterator[str]:
    """All that was recognised and typed is kept, once, in order."""
    record, messages = case.record, [m for m in case.kept.messages if m.role == "user"]
    end = _deaf_at(record)
    for modality, said in (
        (Modality.VOICE, record.heard.finals),
        (Modality.TEXT, [(at, text) for at, text, _ in record.typed]),
    ):
        kept = " ".join(m.content or "" for m in messages if m.modality is modality)
        whole = " ".join(text for _, text in said)
        sure = " ".join(text for at, text in said if at < end - _LOST_SECS)
        if not (whole.startswith(kept) and kept.startswith(sure)):
            yield f"said ({modality}): {whole!r}, of which surely {sure!r}; kept: {kept!r}"


def _deaf_at(record: CallRecord) -> float:
    """From when on the bot listens no more: the farewell, or the end."""
    for message in record.messages:
        data = message.get("data") or {}
        if data.get("event") == "node-changed" and data["node"] == "farewell":
            return message["received_at"]
    return record.left_at or record.closed_at


def _what_was_heard(case: Case) -> Iterator[str]:
    """What is kept of the bot is what the voice was sent, as far as it got."""
    texts = _texts(case)
    for said in _utterances(case):
        content = " ".join(message.content or "" for message in said).split()
        last = said[-1] is case.kept.messages[-1]
        interrupted = any(message.interrupted for message in said)
        may_be_cut = interrupted or (last and case.kept.session.end_reason in _CUT_OFF)
        # Of several messages any may be the one that was cut short.
        cut = len(said) > 1 and interrupted
        heard = [(text, broken or cut) for text, broken in texts]
        if not _is_spoken(content, heard, may_be_cut=may_be_cut):
            yield f"kept, but never said so: {' '.join(content)!r} (interrupted: {may_be_cut})"


def _utterances(case: Case) -> Iterator[Sequence[Message]]:
    """What the bot said, message by message; in a starved call, from one of the user's to the next.

    Pipecat ends a turn by what was played, and tells words by the clock: when what is played falls
    behind the clock, the end of one turn comes after the first words of another.
    """
    for role, messages in groupby(case.kept.messages, key=lambda message: message.role):
        said = [*messages]
        if role == "assistant":
            yield from [said] if case.starved else [[message] for message in said]


def _nothing_is_said_twice(case: Case) -> Iterator[str]:
    kept: Counter[str] = Counter()
    for role, messages in groupby(case.kept.messages, key=lambda message: message.role):
        if role == "assistant":
            answers = [Counter(codes_in(message.content or "")) for message in messages]
            for code in {code for answer in answers for code in answer}:
                times = [answer[code] for answer in answers]
                # Cut off by a voice without words, the bot asks its model to go on, and this one
                # says all of it again.
                kept[code] += max(times) if _voice_without_words(case) else sum(times)
    # A greeting that names the topic of a call before has that call's code.
    ours = {
        code
        for utterance in case.record.plan.utterances
        for text in utterance.answer
        for code in codes_in(text)
    }
    for code, times in kept.items():
        if times > 1 and code in ours:
            yield f"the answer with {code!r} is kept {times} times"


def _voice_without_words(case: Case) -> bool:
    sounds = sum(message["type"] == "user-started-speaking" for message in case.record.messages)
    said = [one for one in case.kept.messages if one.role == "user"]
    return sounds > sum(one.modality is Modality.VOICE for one in said)


def _what_had_time_is_answered(case: Case) -> Iterator[str]:
    """A sentence with no fault, and all the time to be answered, was answered in full."""
    if not case.calm:
        return
    said = " ".join(m.content or "" for m in case.kept.messages if m.role == "assistant")
    recognised = {text for _, text in case.record.heard.finals}
    recognised |= {text for _, text, _ in case.record.typed}
    for utterance in case.record.answered:
        answered = any(
            code in said
            for text in (*utterance.answer, utterance.summing_up)
            for code in codes_in(text)
        )
        ended = utterance.intent == "done" and case.kept.session.end_reason != "client_left"
        if utterance.text in recognised and not (answered or ended):
            yield f"never answered: {utterance.text!r}"


def _texts(case: Case) -> list[tuple[list[str], bool]]:
    """What may have been heard or read in this call, and whether it may be cut short."""
    texts = [(speech.text.split(), speech.broken) for speech in case.speeches]
    # Spoken ahead, once per process, perhaps in a round before.
    lines = Lines(Language(case.record.plan.language))
    texts += ((line.split(), False) for line in lines.spoken_ahead())
    for utterance in case.record.plan.utterances:
        texts.append((" ".join(utterance.answer).split(), bool(utterance.faults)))
        texts.append((utterance.summing_up.split(), bool(utterance.faults)))
    # A voice never gets what is answered in writing; of a model that answers at random, only the
    # page knows what that was.
    for message in case.record.messages:
        shown = message.get("data") or {}
        if message["type"] == "bot-output" and shown["will_be_spoken"] is False:
            texts.append((shown["text"].split(), False))
    return texts


def _is_spoken(
    content: Sequence[str], texts: Sequence[tuple[list[str], bool]], *, may_be_cut: bool
) -> bool:
    """Whether `content` is made of `texts`, of which the last may be cut short if that may be."""
    if not content:
        return True
    for text, broken in texts:
        common = 0
        while common < min(len(text), len(content)) and text[common] == content[common]:
            common += 1
        if common == 0:
            continue
        if common == len(text) or broken:
            if _is_spoken(content[common:], texts, may_be_cut=may_be_cut):
                return True
        elif may_be_cut and common == len(content):
            return True
    return False


# --- What happened


def _the_flow_is_followed(case: Case) -> Iterator[str]:
    allowed = _allowed_moves()
    node = "waiting"
    for step in case.kept.transitions:
        if step.from_node != node:
            yield f"{step.trigger} leaves {step.from_node}, but the call was in {node}"
        if (step.from_node, step.trigger, step.to_node) not in allowed:
            yield f"{step.from_node} –{step.trigger}→ {step.to_node} is not in the flow"
        node = step.to_node
    shown = [(e["previous"], e["trigger"], e["node"]) for e in case.record.events("node-changed")]
    kept = [(step.from_node, step.trigger, step.to_node) for step in case.kept.transitions]
    # The first node is entered before there is a conversation to keep it in.
    shown = [move for move in shown if move[2] != "waiting"]
    if not _is_shown(shown, kept, case.record):
        yield f"the page was shown {shown}, kept is {kept}"


def _is_shown(shown: Sequence[Any], kept: Sequence[Any], record: CallRecord) -> bool:
    """Whether a page was shown what is kept, in order and from the beginning.

    What was sent while it connected anew, it missed.
    """
    if record.connected_anew:
        left = iter(kept)
        return all(one in left for one in shown)
    return [*kept[: len(shown)]] == [*shown]


def _allowed_moves() -> set[tuple[str, str, str]]:
    moves: set[tuple[str, str, str]] = set()
    for name, node in load_flow_config().nodes.items():
        for function in node.functions or ():
            target = function.transition_to
            if target is None:
                continue
            targets = [target] if isinstance(target, str) else [*target.cases.values()]
            moves |= {(name, function.name, to) for to in targets}
    return moves


def _the_end_is_known(case: Case) -> Iterator[str]:
    session, record = case.kept.session, case.record
    if session.end_reason is None or session.ended_at is None:
        yield "the call has no end"
        return
    told = record.events("conversation-ended")
    if len(told) > 1:
        yield "the page was told of the end more than once"
    if told and told[0]["reason"] != session.end_reason:
        yield f"the page was told {told[0]['reason']}, kept is {session.end_reason}"
    # Who vanished is noticed after some seconds, in which the call may end for want of them.
    cut_off = session.end_reason in _CUT_OFF and (
        session.end_reason is not EndReason.TAKEN_OVER or record.left_at
    )
    if not told and not cut_off and not record.vanished:
        yield f"kept is {session.end_reason}, but the page was told nothing"
    said_goodbye = any(step.to_node == "farewell" for step in case.kept.transitions)
    left_first = record.left_at and not told and not said_goodbye
    of_leaving = [EndReason.CLIENT_LEFT]
    if record.taken_over:
        of_leaving.append(EndReason.TAKEN_OVER)
    if left_first and session.end_reason not in of_leaving:
        yield f"the caller left, kept is {session.end_reason}"


def _the_page_was_shown_what_is_kept(case: Case) -> Iterator[str]:
    shown = [
        (e["id"], e["seq"], e["role"], e["interrupted"])
        for e in case.record.events("message-recorded")
    ]
    kept = [(str(m.id), m.seq, m.role, m.interrupted) for m in case.kept.messages]
    if not _is_shown(shown, kept, case.record):
        yield f"the page was shown {shown}, kept is {kept}"


def _every_fault_had_an_outcome(case: Case) -> Iterator[str]:
    record = case.record
    end = record.left_at or record.closed_at
    for at, what in record.heard.faults:
        limit = at + OUTCOME_SECS
        signs = [m["received_at"] for m in record.messages if is_sign(m, aloud=False)]
        seen = any(at < sign <= limit for sign in signs)
        if not seen and end > limit:
            yield f"nobody was told of a fault ({what}) within {OUTCOME_SECS:g} s"


_Check = Callable[[Case], Iterator[str]]

_CHECKS: tuple[_Check, ...] = (
    _what_was_heard,
    _nothing_is_said_twice,
    _the_flow_is_followed,
    _the_page_was_shown_what_is_kept,
)

_TIMED_CHECKS: tuple[_Check, ...] = (
    _what_the_user_said,
    _what_had_time_is_answered,
    _the_end_is_known,
    _every_fault_had_an_outcome,
)
"""What is also a matter of when things happened."""

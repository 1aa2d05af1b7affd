"""What the soak takes for wrong, and whom its recogniser understands."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import soxr

from benchmarks.soak.caller import CallRecord
from benchmarks.soak.checks import Case, KeptCall, check_call, check_conversation
from benchmarks.soak.ear import find, loudness
from benchmarks.soak.leftovers import LogReader
from benchmarks.soak.phrases import Codes, codes_in
from benchmarks.soak.plan import Act, CallPlan, Ending, draw_plan
from benchmarks.soak.studio import Heard, Speech, Studio
from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE
from simulators.vendors.deepgram import Stretch
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    Message,
    Role,
    Session,
    Transition,
    utc_now,
    uuid7,
)
from sonora_app.storage.store import Transcript

pytestmark = pytest.mark.unit

GREETING = "Hola, soy Sonora. ¿De qué te gustaría hablar?"
STEPS = (
    ("waiting", "set_conversation_id", "greeting"),
    ("greeting", "greeting_finished", "conversation"),
)
IDS = {"conversation_id": uuid7(), "session_id": uuid7()}


def plan_of(ending: Ending) -> CallPlan:
    """A plan that begins with something said without a fault, and ends so."""
    for seed in range(10_000):
        plan = draw_plan(random.Random(seed), Codes(seed, 0), "0-0-0")
        first = plan.steps[0]
        healthy = first.utterance is not None and not first.utterance.faults
        if first.act is Act.SAY and healthy and plan.ending is ending:
            return plan
    raise AssertionError(ending)


def good_case() -> Case:
    """A call in which one thing was said and answered, and the caller hung up."""
    plan = plan_of(Ending.HANG_UP)
    utterance = plan.steps[0].utterance
    assert utterance is not None
    answer = " ".join(utterance.answer)
    said = [(Role.ASSISTANT, GREETING), (Role.USER, utterance.text), (Role.ASSISTANT, answer)]
    messages = [
        Message(id=uuid7(), seq=number, role=role, content=text, created_at=utc_now(), **IDS)
        for number, (role, text) in enumerate(said, 1)
    ]
    transitions = [
        Transition(
            id=uuid7(),
            seq=number,
            from_node=before,
            trigger=trigger,
            to_node=after,
            created_at=utc_now(),
            **IDS,
        )
        for number, (before, trigger, after) in enumerate(STEPS, 1)
    ]
    session = Session(
        id=IDS["session_id"],
        conversation_id=IDS["conversation_id"],
        transport="webrtc",
        started_at=utc_now(),
        ended_at=utc_now(),
        end_reason=EndReason.CLIENT_LEFT,
        app_version="1",
    )
    record = CallRecord(plan, left_at=100.0, closed_at=101.0, answered=[utterance])
    record.heard.finals.append((10.0, utterance.text))
    record.messages = [shown("node-changed", previous=a, trigger=t, node=b) for a, t, b in STEPS]
    record.messages += [
        shown("message-recorded", id=str(m.id), seq=m.seq, role=m.role, interrupted=False)
        for m in messages
    ]
    return Case(
        record,
        KeptCall(session, messages, transitions),
        [Speech(GREETING), Speech(answer)],
        calm=True,
        starved=False,
    )


def shown(event: str, **data: Any) -> dict[str, Any]:
    return {
        "type": "server-message",
        "received_at": 5.0,
        "data": {"type": "sonora", "event": event, **data},
    }


def kept(case: Case, **changes: Any) -> Case:
    return replace(case, kept=replace(case.kept, **changes))


def with_message(number: int, **changes: Any) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        messages = [*case.kept.messages]
        messages[number] = messages[number].model_copy(update=changes)
        return kept(case, messages=messages)

    return change


def without_message(number: int) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        messages = [*case.kept.messages]
        del messages[number]
        case.record.messages = [
            m for m in case.record.messages if m["data"]["event"] != "message-recorded"
        ]
        return kept(case, messages=messages)

    return change


def said_twice(case: Case) -> Case:
    case.record.messages = []
    return kept(case, messages=[*case.kept.messages, case.kept.messages[-1]])


def heard_a_noise(case: Case) -> Case:
    sounds = [{"type": "user-started-speaking", "received_at": 6.0, "data": None}] * 2
    case.record.messages = [*case.record.messages, *sounds]
    return case


def astray(case: Case) -> Case:
    step = case.kept.transitions[1].model_copy(update={"to_node": "farewell"})
    case.record.messages = []
    return kept(case, transitions=[case.kept.transitions[0], step])


def skipped(case: Case) -> Case:
    case.record.messages = []
    return kept(case, transitions=case.kept.transitions[1:])


def ended_by(reason: EndReason | None) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        return kept(case, session=case.kept.session.model_copy(update={"end_reason": reason}))

    return change


def fault_in_silence(case: Case) -> Case:
    case.record.heard.faults.append((20.0, "voice: stall"))
    return case


def heard_more(case: Case) -> Case:
    case.record.heard.finals.append((20.0, "Otra cosa."))
    return case


def late(case: Case) -> Case:
    case.record.late.append("waited in vain")
    return case


def test_a_greeting_that_was_spoken_ahead_need_not_be_spoken_again() -> None:
    case = good_case()
    assert [*check_call(replace(case, speeches=case.speeches[1:]))] == []


def test_a_call_as_it_should_be_is_right() -> None:
    assert [*check_call(good_case())] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_message(2, content="Nunca lo dijo."), "never said so"),
        (with_message(0, content=GREETING[:20]), "never said so"),
        (with_message(1, content="Otra cosa."), "said (voice)"),
        (without_message(1), "said (voice)"),
        (without_message(2), "never answered"),
        (heard_more, "said (voice)"),
        (said_twice, "is kept 2 times"),
        (with_message(2, interrupted=True), "the page was shown"),
        (astray, "is not in the flow"),
        (skipped, "but the call was in"),
        (ended_by(None), "has no end"),
        (ended_by(EndReason.GOODBYE), "told nothing"),
        (ended_by(EndReason.ERROR), "the caller left"),
        (fault_in_silence, "nobody was told"),
        (late, "in vain"),
    ],
)
def test_what_is_wrong_is_told(change: Callable[[Case], Case], told: str) -> None:
    problems = [*check_call(change(good_case()))]
    assert any(told in problem for problem in problems), problems


def test_what_was_cut_short_may_be_kept_in_part() -> None:
    case = good_case()
    words = (case.kept.messages[2].content or "").split()[:3]
    case = with_message(2, content=" ".join(words), interrupted=True)(case)
    case.record.messages[-1]["data"]["interrupted"] = True
    assert not [problem for problem in check_call(case) if "never said so" in problem]


def test_time_is_not_held_against_a_starved_bot() -> None:
    assert [*check_call(replace(late(good_case()), starved=True))] == []


def test_a_starved_bot_may_end_a_message_late_but_must_have_said_it() -> None:
    case = replace(without_message(1)(good_case()), starved=True)
    greeting, answer = case.kept.messages
    first, rest = (answer.content or "").split(maxsplit=1)
    greeting = greeting.model_copy(update={"content": f"{greeting.content} {first}"})
    late = kept(case, messages=[greeting, answer.model_copy(update={"content": rest})])
    assert [*check_call(late)] == []
    told = [*check_call(replace(late, starved=False))]
    assert any("never said so" in problem for problem in told)
    lost = kept(case, messages=[greeting, answer.model_copy(update={"content": "Otra cosa."})])
    assert any("never said so" in problem for problem in check_call(lost))


def test_the_same_seed_draws_the_same_plan() -> None:
    plans = [draw_plan(random.Random("7/0/0"), Codes(7, 3), "0-0-0") for _ in range(2)]
    assert plans[0] == plans[1]


def test_a_bot_that_a_noise_cut_off_may_say_it_again() -> None:
    assert [*check_call(heard_a_noise(said_twice(good_case())))] == []


def conversation_of(*calls: KeptCall) -> Transcript:
    """One conversation, of `calls`."""
    now = utc_now()
    return Transcript(
        Conversation(id=IDS["conversation_id"], created_at=now, updated_at=now),
        tuple(call.session for call in calls),
        tuple(message for call in calls for message in call.messages),
        (),
    )


def call_of(count: int, *, first: int = 1, begun_secs: float, ended_secs: float) -> KeptCall:
    """A call with `count` messages, numbered from `first`, that took this part of a minute."""
    began = datetime(2026, 11, 26, tzinfo=UTC)
    session = good_case().kept.session.model_copy(
        update={
            "id": uuid7(),
            "started_at": began + timedelta(seconds=begun_secs),
            "ended_at": began + timedelta(seconds=ended_secs),
        }
    )
    messages = [
        Message(
            id=uuid7(),
            conversation_id=IDS["conversation_id"],
            session_id=session.id,
            seq=first + number,
            role=Role.USER,
            content="said",
            created_at=began + timedelta(seconds=begun_secs + number),
        )
        for number in range(count)
    ]
    return KeptCall(session, messages, [])


def test_calls_one_after_another_count_on() -> None:
    before = call_of(3, begun_secs=0, ended_secs=5)
    after = call_of(2, first=4, begun_secs=10, ended_secs=20)
    assert [*check_conversation(conversation_of(before, after))] == []
    again = call_of(2, first=3, begun_secs=10, ended_secs=20)
    assert "are numbered" in next(check_conversation(conversation_of(before, again)))


def test_no_number_is_given_to_two_calls_and_none_is_left_out_of_one() -> None:
    vanished = call_of(3, begun_secs=0, ended_secs=5)
    resumed = call_of(2, first=3, begun_secs=10, ended_secs=20)
    assert "are numbered" in next(check_conversation(conversation_of(vanished, resumed)))
    resumed = call_of(2, first=4, begun_secs=10, ended_secs=20)
    lost = replace(
        resumed, messages=[resumed.messages[0], resumed.messages[1].model_copy(update={"seq": 6})]
    )
    (problem,) = check_conversation(conversation_of(vanished, lost))
    assert "of one call are numbered" in problem


def test_calls_one_at_a_time_are_not_mixed() -> None:
    older = call_of(2, begun_secs=0, ended_secs=15)
    newer = call_of(2, first=103, begun_secs=10, ended_secs=20)
    conversation = conversation_of(older, newer)
    assert [*check_conversation(conversation)] == []
    messages = [*conversation.messages[:3], older.messages[1], conversation.messages[3]]
    mixed = replace(conversation, messages=tuple(messages))
    told = [*check_conversation(mixed)]
    assert any("are mixed" in problem for problem in told)


def test_no_code_comes_twice() -> None:
    codes = [codes.next() for codes in (Codes(7, 0), Codes(7, 1)) for _ in range(1000)]
    assert len(set(codes)) == 2000
    assert all(codes_in(f"De {code} te cuento.") == [code] for code in codes)


def test_words_of_people_are_found_in_a_log(tmp_path: Any) -> None:
    log = tmp_path / "bot.log"
    reader = LogReader(log)
    log.write_text("INFO | all is well\n", encoding="utf-8")
    assert [*reader.problems()] == []
    with log.open("a", encoding="utf-8") as more:
        more.write(f"INFO | heard: Cuéntame algo sobre {Codes(1, 0).next()}.\n")
    (problem,) = reader.problems()
    assert "what people say" in problem


async def test_a_sentence_is_known_by_its_sound_among_others() -> None:
    codes = Codes(7, 0)
    texts = [f"Quiero saber más de {codes.next()} por favor." for _ in range(6)]
    spoken = [await speech(text) for text in texts]
    noise = np.random.default_rng(1)
    for number, samples in enumerate(spoken):
        heard = soxr.resample(samples.astype(np.float32) * 0.5, MIC_RATE, 16_000)
        heard = np.concatenate([heard[1_600:], np.zeros(6_000)])
        heard += noise.normal(0, 40, len(heard))
        matches = [find(loudness(heard, 16_000), loudness(one, MIC_RATE)) for one in spoken]
        alike = [match.alike for match in matches]
        assert int(np.argmax(alike)) == number
        assert [match.is_same for match in matches] == [i == number for i in range(len(spoken))]
        assert matches[number].is_enough


async def test_words_that_two_begin_with_are_of_who_began_last() -> None:
    earlier = plan_of(Ending.HANG_UP).steps[0].utterance
    assert earlier is not None
    later = replace(earlier)
    beginning = "Me gustaría hablar un rato de mirlo olivo"
    studio, spoken = Studio(), await speech(f"{beginning} cebra contigo.")
    studio.speaking(earlier, spoken)
    await asyncio.sleep(0.01)
    studio.speaking(later, await speech(f"{beginning} duna contigo."))
    heard = spoken[: len(await speech(beginning)) * 9 // 10]
    stretch = Stretch(heard, MIC_RATE, connection=None)  # type: ignore[arg-type]
    assert studio.understood(stretch) is later


async def test_a_sentence_in_pieces_is_understood_once() -> None:
    utterance = plan_of(Ending.HANG_UP).steps[0].utterance
    assert utterance is not None
    studio, spoken = Studio(), await speech(utterance.text)
    heard = Heard()
    studio.expect((utterance,), heard)
    studio.speaking(utterance, spoken)
    connection: Any = studio  # any will do; it is told from others
    told: list[str] = []
    for piece in np.array_split(np.arange(len(spoken)), 6):
        # The first sound of a piece is not heard, as where it begins softly.
        samples, ended_secs = spoken[piece[MIC_RATE // 50 :]], float(piece[-1] + 1) / MIC_RATE
        told.append(
            await studio.deepgram.recognise(Stretch(samples, MIC_RATE, connection, ended_secs))
        )
    assert [text for text in told if text] == [utterance.text]
    assert len(heard.finals) == 1


async def test_half_a_sentence_is_not_understood() -> None:
    samples = await speech("Me gustaría hablar un rato de mirlo olivo duna contigo.")
    half = len(samples) * 45 // 100
    match = find(loudness(samples[:half], MIC_RATE), loudness(samples, MIC_RATE))
    assert match.is_same
    assert not match.is_enough

"""The scripted interlocutor: what it does next, from the conversation alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
import pytest
import yaml
from pipecat.processors.aggregators import async_tool_messages
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.turns.empty_user_turn import EmptyUserTurnConfig

from sonora_app.call.ending.summary import Description
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.rehearsal.heard import write_heard
from sonora_app.rehearsal.recall import review
from sonora_app.rehearsal.script import describe, next_move
from sonora_app.rehearsal.turns import CallTool, Say, read_turns
from sonora_app.rehearsal.wording import means_done, means_finishing, topics_of
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

ES, EN = Lines(Language.ES), Lines(Language.EN)
CONVERSATION = {"wrap_up"}
WRAP_UP = {"resume_conversation", "say_goodbye"}

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def bot(text: str) -> Message:
    return {"role": "assistant", "content": text}


def task(text: str = "Talk with the person.") -> Message:
    return {"role": "developer", "content": text}


def called(name: str, result: str = "acknowledged") -> list[Message]:
    call = {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{name}", "content": json.dumps(result)},
    ]


def move(messages: Sequence[Message], tools: set[str], lines: Lines = ES) -> Say | CallTool:
    context = LLMContext(messages=list(messages))
    return next_move(read_turns(context.get_messages()), tools, lines)


def said(messages: Sequence[Message], tools: set[str], lines: Lines = ES) -> str:
    what = move(messages, tools, lines)
    assert isinstance(what, Say)
    return what.text


# --- In conversation


def test_the_first_answer_says_it_is_a_rehearsal_and_echoes() -> None:
    talk = [task(), bot("Hola, soy Sonora."), task(), user("Quiero ir a Oaxaca.")]
    first = said(talk, CONVERSATION)
    assert "ensayo" in first
    assert "Quiero ir a Oaxaca." in first
    later = said([*talk, bot(first), user("¿Qué tiempo hace allí?")], CONVERSATION)
    assert "ensayo" not in later
    assert "Qué tiempo hace allí" in later
    assert "rehearsal" in said([task(), user("To Rome")], CONVERSATION, EN)


def test_answers_vary() -> None:
    talk = [task(), user("uno")]
    answers = []
    for _ in range(4):
        answers.append(said(talk, CONVERSATION))
        talk += [bot(answers[-1]), user("uno")]
    assert len(set(answers)) == 4


def test_a_resumed_conversation_is_told_anew_that_it_is_a_rehearsal() -> None:
    earlier = [user("Quiero ir a Oaxaca"), bot("Qué bien."), user("Sí"), bot("¿Cuándo?")]
    talk = [*earlier, task("You have talked before."), bot("Hola de nuevo."), user("En mayo")]
    assert "ensayo" in said(talk, CONVERSATION)


def test_speech_that_was_not_transcribed_is_echoed_by_its_length() -> None:
    heard = f"{write_heard(2.3, ES)} {write_heard(1.0, ES)}"
    assert "unos 3,3 segundos" in said([task(), user(heard)], CONVERSATION)
    assert "about 3.3 seconds" in said([task(), user(heard)], CONVERSATION, EN)
    mixed = said([task(), user(f"{heard} y a Roma")], CONVERSATION)
    assert "y a Roma" in mixed
    assert "segundos" not in mixed


def test_images_and_parts_are_no_trouble() -> None:
    parts = [
        {"type": "text", "text": "Mira esto"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert "Mira esto" in said([{"role": "user", "content": parts}], CONVERSATION)
    nothing_said = [{"role": "user", "content": parts[1:]}]
    assert said(nothing_said, CONVERSATION) == ES.text("rehearsal.repeat")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("adiós", ES),
        ("Bueno, ADIOS.", ES),
        ("Eso es todo, gracias.", ES),
        ("¡Hasta luego!", ES),
        ("quiero terminar", ES),
        ("Goodbye!", EN),
        ("That’s all, thanks", EN),
        ("thats all", EN),
        ("OK, SEE YOU", EN),
    ],
)
def test_a_farewell_wraps_up_without_a_word(text: str, lines: Lines) -> None:
    what = move([task(), user("Mi viaje a Roma"), bot("…"), user(text)], CONVERSATION, lines)
    assert isinstance(what, CallTool)
    assert what.name == "wrap_up"
    assert what.arguments["topics"] == ["Mi viaje a Roma"]


@pytest.mark.parametrize("text", ["adiosito macho", "el chaolín", "terminal", "no", "gracias"])
def test_only_whole_words_are_a_farewell(text: str) -> None:
    assert isinstance(move([task(), user(text)], CONVERSATION), Say)


def test_a_wrap_up_that_was_refused_is_not_asked_for_again() -> None:
    talk = [task(), user("adiós"), *called("wrap_up", "error")]
    assert isinstance(move(talk, CONVERSATION), Say)
    assert isinstance(move([*talk, user("adiós")], CONVERSATION), CallTool)


@pytest.mark.parametrize("tools", [CONVERSATION, WRAP_UP])
def test_an_empty_turn_is_asked_to_be_said_again(tools: set[str]) -> None:
    prompt = EmptyUserTurnConfig().interrupted_prompt or ""
    talk = [task(), user("Quiero ir a Roma"), bot("Te he"), task(prompt)]
    assert said(talk, tools) == ES.text("rehearsal.repeat")
    assert said(talk, tools, EN) == EN.text("rehearsal.repeat")
    assert "Napoles" in said([*talk, user("Napoles")], CONVERSATION)


def test_without_tools_it_still_talks() -> None:
    assert "Hola" in said([task(), user("Hola")], set())
    assert said([task()], set()) == ES.text("rehearsal.repeat")


# --- Winding up


def wound_up(*before: Message) -> list[Message]:
    return [task(), *before, *called("wrap_up"), task("The conversation is coming to an end.")]


def test_on_entering_it_sums_up_and_asks() -> None:
    talk = wound_up(user("Mi viaje a Roma"), bot("…"), user("el hotel"), bot("…"), user("adiós"))
    assert said(talk, WRAP_UP) == ES.text(
        "rehearsal.wrap_up", {"topics": "Mi viaje a Roma y hotel"}
    )
    assert said(wound_up(), WRAP_UP) == ES.text("rehearsal.wrap_up_empty")
    heard = said(wound_up(user(write_heard(4.0, ES))), WRAP_UP)
    assert heard == ES.text("rehearsal.wrap_up_speech", {"secs": "4,0"})


def test_entering_because_of_an_event_sums_up_too() -> None:
    talk = [task(), user("Mi viaje a Roma"), bot("…"), task("The person has been silent.")]
    assert "Mi viaje a Roma" in said(talk, WRAP_UP)


@pytest.mark.parametrize(
    ("text", "lines", "tool"),
    [
        ("No, gracias", ES, "say_goodbye"),
        ("no", ES, "say_goodbye"),
        ("Nada más, muchas gracias. ¡Adiós!", ES, "say_goodbye"),
        ("No, thank you very much.", EN, "say_goodbye"),
        ("That's all", EN, "say_goodbye"),
        ("Sí", ES, "resume_conversation"),
        ("No, espera", ES, "resume_conversation"),
        ("No sé, cuéntame más", ES, "resume_conversation"),
        ("¿Y el hotel?", ES, "resume_conversation"),
        ("No, I have a question", EN, "resume_conversation"),
        (write_heard(2.0, ES), ES, "resume_conversation"),
    ],
)
def test_the_answer_decides_where_it_goes(text: str, lines: Lines, tool: str) -> None:
    talk = [*wound_up(user("adiós")), bot("En resumen…"), user(text)]
    assert move(talk, WRAP_UP, lines) == CallTool(tool)


def test_late_results_of_tools_are_not_a_new_task() -> None:
    late: Any = async_tool_messages.build_final_result_message("call_x", '{"status": "ok"}')
    talk = [*wound_up(user("adiós")), bot("En resumen…"), user("No, gracias"), late]
    assert move(talk, WRAP_UP) == CallTool("say_goodbye")


def test_after_resuming_it_answers_what_was_said_before() -> None:
    talk = [
        *wound_up(user("Mi viaje a Roma"), bot("…"), user("adiós")),
        bot("En resumen…"),
        user("Sí, ¿y el hotel?"),
        *called("resume_conversation"),
        task(),
    ]
    assert "y el hotel" in said(talk, CONVERSATION)


# --- Summaries


def check_description(description: Mapping[str, Any]) -> None:
    schema = yaml.safe_load((FLOWS_DIR / "summary.yaml").read_text("utf-8"))["schema"]
    jsonschema.validate(description, schema)
    Description.model_validate(description)
    assert len(description["title"].split()) <= 6
    assert len(description["topics"]) <= 5


def test_the_summary_is_made_of_what_was_said() -> None:
    messages: list[Any] = [
        user("Quiero hablar de mi viaje a Oaxaca"),
        bot("Claro"),
        user("El examen"),
        user("Adiós"),
    ]
    turns = read_turns(LLMContext(messages=messages).get_messages())
    assert describe(turns, ES, outcome="informational") == {
        "title": "Ensayo: examen",
        "summary": ES.text("rehearsal.summary", {"topics": "mi viaje a Oaxaca y examen"}),
        "topics": ["examen", "mi viaje a Oaxaca"],
        "outcome": "informational",
    }


@pytest.mark.parametrize("lines", [ES, EN])
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [bot("Hola")],
        [user("adiós")],
        [user(write_heard(3.2, EN))],
        [user(f"tema número {n} que es muy largo y no cabe entero") for n in range(40)],
        [user("{text} {0} {} %s")],
        [user("😀")],
    ],
)
def test_there_is_always_a_summary(messages: list[Message], lines: Lines) -> None:
    turns = read_turns(LLMContext(messages=messages).get_messages())
    check_description(describe(turns, lines, outcome="informational"))


def test_topics_are_short_distinct_and_not_farewells() -> None:
    assert topics_of(["Hola, quiero hablar de mi viaje a Oaxaca"], ES) == ["mi viaje a Oaxaca"]
    assert topics_of(["el hotel", "la playa", "El Hotel."], ES) == ["playa", "Hotel"]
    assert topics_of(["No, gracias", "sí", "eso es todo", "¡adiós!"], ES) == []
    assert topics_of(["I want to talk about my trip to Rome, please"], EN) == ["my trip to Rome"]


def test_a_topic_can_be_understood_by_itself() -> None:
    for text, topic, lines in (
        ("¿Me puedes decir a qué hora abren mañana, por favor?", "a qué hora abren mañana", ES),
        ("¿Qué vinos tienen?", "Qué vinos tienen", ES),
        ("Tengo que reservar una mesa para cuatro", "reservar una mesa para cuatro", ES),
        ("Hello, can you tell me what time you open?", "what time you open", EN),
    ):
        assert topics_of([text], lines) == [topic]


def test_no_line_is_anything_but_words() -> None:
    for language in Language:
        tree = yaml.safe_load((FLOWS_DIR / "lines" / f"{language}.yaml").read_text("utf-8"))
        for key, lines in tree["rehearsal"].items():
            # An unquoted no, yes or on would be read as a truth value.
            for line in [lines] if isinstance(lines, str) else lines:
                assert isinstance(line, str), key
        for word in tree["rehearsal"]["finish_words"]:
            assert means_finishing(word, Lines(language))
        for word in tree["rehearsal"]["done_words"]:
            assert means_done(word, Lines(language))


# --- Memory


def test_speech_that_nobody_understood_is_nothing_to_remember() -> None:
    spoken = [user(f"[1] {write_heard(2.5, ES)}"), user("[2] Vivo en Lima.")]
    told = [
        review(read_turns(LLMContext(messages=each).get_messages()), ES)["facts"]
        for each in (spoken[:1], [*spoken, user(f"[3] {write_heard(1.0, EN)}")])
    ]
    assert [[fact["fact"] for fact in facts] for facts in told] == [[], ["Habló de Vivo en Lima."]]


TOLD = task(
    "<facts>\n1. <quoted>Se llama Ana.</quoted>\n2. <quoted>Vive en Lima.</quoted>\n</facts>"
)


@pytest.mark.parametrize(
    ("text", "tool", "arguments", "lines"),
    [
        ("olvídalo todo", "forget", {"about": "todo", "everything": True}, ES),
        ("Olvida todo lo que sabes de mí.", "forget", {"everything": True}, ES),
        ("olvida todo lo de Lima", "forget", {"about": "todo lo de Lima", "everything": False}, ES),
        ("Quiero que olvides lo de Lima", "forget", {"about": "lo de Lima", "numbers": []}, ES),
        ("No quiero que recuerdes nada.", "allow_memory", {"allowed": False}, ES),
        ("Quiero que me recuerdes.", "allow_memory", {"allowed": True}, ES),
        ("Forget everything about me", "forget", {"everything": True}, EN),
        ("forget it", "forget", {"about": "it", "numbers": []}, EN),
        ("I don’t want you to remember that", "allow_memory", {"allowed": False}, EN),
    ],
)
def test_what_is_said_of_remembering_is_done(
    text: str, tool: str, arguments: Mapping[str, Any], lines: Lines
) -> None:
    what = move([TOLD, user(text)], CONVERSATION | {"remember", "forget", "allow_memory"}, lines)
    assert isinstance(what, CallTool)
    assert (what.name, {**what.arguments, **arguments}) == (tool, what.arguments)


ASKED = task(ES.text("prompt.recording.ask"))


@pytest.mark.parametrize(
    ("question", "text", "allowed"),
    [
        (True, "Sí, claro.", True),
        (True, "No, mejor no.", False),
        (False, "Deja de grabar, por favor.", False),
        (False, "Puedes grabar la llamada.", True),
    ],
)
def test_what_is_said_of_recording_is_done(question: bool, text: str, allowed: bool) -> None:
    ask = ES.text("rehearsal.recording.ask")
    first = move([ASKED, user("Quiero ir a Oaxaca.")], CONVERSATION | {"allow_recording"}, ES)
    assert isinstance(first, Say)
    assert first.text.endswith(ask), "it is asked with the first answer"
    said = bot(first.text if question else "¿Y qué más?")
    talk = [ASKED, user("Quiero ir a Oaxaca."), bot(ask), user("Ya."), said]
    what = move([*talk, user(text)], CONVERSATION | {"allow_recording"}, ES)
    assert what == CallTool("allow_recording", {"allowed": allowed})
    again = move([*talk, user("Me gusta el mar.")], CONVERSATION | {"allow_recording"}, ES)
    assert isinstance(again, Say)
    assert ask not in again.text, "and once only"


def test_what_is_remembered_and_forgotten_is_no_topic() -> None:
    said_of_memory = ["Me llamo Ana.", "Olvida lo de las nueces.", "¿Qué sabes de mí?"]
    talk = [each for text in said_of_memory for each in (user(text), *called("remember"))]
    told = describe(read_turns(LLMContext(messages=talk).get_messages()), ES, outcome="resolved")
    assert told["topics"] == []
    assert "nada en particular" not in told["summary"]
    talk.insert(0, user("Quiero ir a Oaxaca."))
    told = describe(read_turns(LLMContext(messages=talk).get_messages()), ES, outcome="resolved")
    assert told["topics"] == ["ir a Oaxaca"]
    assert "nueces" not in str(told)

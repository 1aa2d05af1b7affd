"""Tools: their declaration, their requests, and that each call is done at most once."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.clients.bot_process import PROJECT
from simulators.vendors.tool_api import Answer, ToolApi
from sonora_app.call.presence.silence import Silence
from sonora_app.call.tools.calls import ToolCalls
from sonora_app.call.tools.offers import CONFIRMED_BY, function_of
from sonora_app.errors import SettingsError
from sonora_app.flow.lines import Lines
from sonora_app.settings import Language, Settings
from sonora_app.storage.records import utc_now, uuid7
from sonora_app.storage.tool_calls import ToolCall as KeptCall
from sonora_app.storage.tool_calls import ToolStatus
from sonora_app.tools.answers import AnswerPart, told
from sonora_app.tools.arguments import argument_mistakes, schema_mistake
from sonora_app.tools.declaration import load_tools
from sonora_app.tools.declared import check_tools
from sonora_app.tools.http import MAX_BYTES, HttpTools
from sonora_app.tools.python import PythonTools
from sonora_app.tools.references import without_references
from sonora_app.tools.templates import UnusableArgumentError, filled_address, filled_body
from sonora_app.tools.tool import HTTP, Outcome, OutcomeStatus, Tool
from sonora_app.tools.toolbox import Toolbox

pytestmark = pytest.mark.unit

_TOOL = """
tools:
  - name: book
    description: Book a table somewhere.
    parameters:
      type: object
      properties: {table: {type: string}}
      required: [table]
    request: {method: POST, url: "URL/tables/{{ table }}?q={{ table }}"}
    time_limit_secs: 0.3
"""


def _declared(folder: Path, text: str, **variables: str) -> Any:
    file = folder / "tools.yaml"
    file.write_text(text)
    return load_tools(file, variables, nodes={"conversation"}, taken={"wrap_up"})


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("name: book", "name: wrap_up", ("wrap_up", "name")),
        ("name: book", "name: a b", ("a b", "name")),
        ("time_limit_secs: 0.3", "time_limit_secs: 0", ("book", "time_limit_secs")),
        ("time_limit_secs: 0.3", "nodes: [nowhere]", ("book", "nowhere")),
        ("time_limit_secs: 0.3", "times: 3", ("book", "times")),
        ("{type: string}", "{type: strin}", ("book", "parameters")),
        ("method: POST", "method: POTS", ("book", "request.method")),
        ("URL/tables", "http://{{ table }}/x", ("book", "request.url")),
        ("URL/tables", "ftp://x/", ("book", "request.url")),
        ("URL/tables", "${NOWHERE}/x", ("book", "NOWHERE")),
        ("?q={{ table }}", "?q={{ tabel }}", ("book", "tabel")),
        ("tools:", "tolls:", ("tolls",)),
        ("tools:", "tools: []\ntools:", ("line 3", "tools stands there twice")),
        ("URL/tables", "http://x:99999/t", ("book", "request.url: it is no address")),
        ("time_limit_secs: 0.3", "nodes: []", ("book", "nodes: names no node")),
        ("{type: string}", "{enum: [13:00]}", ("line 7", '13:00 is read as 780. Write "13:00"')),
        ("{type: string}", "{enum: [sí, no]}", ("line 7", 'no is read as false. Write "no"')),
        ("{type: string}", "{default: 007}", ("line 7", '007 is read as 7. Write "007"')),
        ("{type: string}", "&me {not: *me}", ("line 7", "holds the alias itself")),
        ("URL/tables", "http://[x/t", ("book", "request.url: it is no address")),
        ("?q={{ table }}", "?q={{ table.id }}", ("request.url", "{{ table.id }} is not filled in")),
        ("0.3", "0.3\n    nope: 1", ("nope: there is no such field",)),
        ("[table]", "[tabel]", ("parameters.required: tabel is no property",)),
        ("{type: string}", "{default: 2026-12-04}", ("parameters: holds what is no JSON",)),
        ("{type: string}", '{$ref: "#/$defs/Gone"}', ("parameters: '#/$defs/Gone' names nothing",)),
        ("method: POST,", 'method: POST, headers: {A: "á"},', ("headers.A: cannot be sent",)),
        ("method: POST,", 'method: POST, body: "${K}",', ("request.body: ${K} is not filled in",)),
    ],
)
def test_a_mistake_is_named_by_tool_and_field(
    tmp_path: Path, old: str, new: str, named: tuple[str, ...]
) -> None:
    text = _TOOL.replace(old, new, 1).replace("URL", "http://x")
    with pytest.raises(SettingsError) as caught:
        _declared(tmp_path, text)
    for part in ("tools.yaml", *named):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (_TOOL.replace("method", "methode"), ("tools.yaml", "tool book, request.methode")),
        (
            "mcp: [{name: inn, url: 'http://x', tools: [{a: b}]}]",
            ("tools.yaml", "server inn, tool"),
        ),
        *(
            (f"mcp: [{{name: inn, {field}}}]", ("tools.yaml", "server inn, ", named))
            for field, named in (
                ("command: '', tools: [a]", "`command` names nothing to run"),
                ("url: 'http://x:99999', tools: [a]", "`url` is no address"),
                ("url: 'http://x', tools: [a], nodes: []", "nodes: names no node"),
                ("url: 'http://x', tools: {a: {nodes: []}}", "nodes: names no node"),
            )
        ),
        ("mcp: [{name: inn, url: 'http://x', tools: [no]}]", ("tools.yaml", "no is read as false")),
        (
            _TOOL.split("    request")[0] + "    function: raising:roll",
            ("tool book, function", "no dice"),
        ),
        (None, ("tools.yaml does not exist", "SONORA_TOOLS_FILE")),
    ],
)
def test_what_is_wrong_is_known_before_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, named: tuple[str, ...]
) -> None:
    file = tmp_path / "tools.yaml"
    if text is not None:
        file.write_text(text.replace("URL", "http://x"))
    (tmp_path / "raising.py").write_text("raise RuntimeError('no dice\\nhere')")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = Settings.model_validate({"ENV": "local", "SONORA_TOOLS_FILE": str(file)})
    with pytest.raises(SettingsError) as caught:
        check_tools(settings)
    assert "\n" not in str(caught.value)
    for part in named:
        assert part in str(caught.value)


def test_the_tools_that_come_with_sonora_are_none() -> None:
    assert load_tools(Path("flows/tools.yaml"), {}) == ()


@settings(max_examples=60)
@given(value=st.text(max_size=20))
def test_an_argument_never_leaves_its_place(value: str) -> None:
    template = "https://api.example.com:8443/a/{{ x }}/b?q={{ x }}"
    try:
        address = filled_address(template, {"x": value})
    except (UnusableArgumentError, UnicodeEncodeError):
        return
    parts = urlsplit(address)
    assert parts.netloc == "api.example.com:8443"
    assert parts.path.count("/") == 3
    assert parts.path.startswith("/a/")
    assert parts.path.endswith("/b")
    assert ".." not in parts.path.split("/")
    assert parts.fragment == ""


def test_a_body_keeps_types_and_leaves_out_what_was_not_given() -> None:
    body = {"people": "{{ people }}", "note": "{{ note }}", "text": "for {{ people }}"}
    assert filled_body(body, {"people": 4}) == {"people": 4, "text": "for 4"}


@pytest.mark.parametrize(
    ("answer", "part", "expected"),
    [
        (b"[]", AnswerPart(), "[]"),
        (b"0", AnswerPart(), "0"),
        (b"false", AnswerPart(), "false"),
        (b"", AnswerPart(), ""),
        (b'{"a": [{"b": "c"}]}', AnswerPart("a.0.b"), "c"),
        (b'{"a": {"b": 2}}', AnswerPart("a", "At {{ b }}, {{ c }}."), "At 2, ."),
        (b"{oops", AnswerPart("a"), None),
        (b"plain", AnswerPart(), "plain"),
    ],
)
def test_what_is_told_of_an_answer(answer: bytes, part: AnswerPart, expected: str | None) -> None:
    assert told(answer, part, max_chars=100) == expected


def test_arguments_are_held_against_the_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert argument_mistakes({"n": 1}, schema) == []
    assert "required" in argument_mistakes({}, schema)[0]
    assert "integer" in argument_mistakes({"n": "1"}, schema)[0]
    assert "extra" in argument_mistakes({"n": 1, "extra": 2}, schema)[0]


async def test_what_comes_of_each_fault(tmp_path: Path) -> None:
    async with ToolApi().serving() as api:
        (tool,) = _declared(tmp_path, _TOOL.replace("URL", api.url))
        runner = HttpTools([tool])
        cases = {
            OutcomeStatus.DONE: [
                Answer({"ok": 1}),
                Answer(raw=b"x" * (MAX_BYTES + 1)),
                Answer(status=204, raw=b""),
            ],
            OutcomeStatus.FAILED: [
                Answer({"error": "taken"}, status=409),
                Answer(status=503),
                Answer(status=302, headers={"Location": "http://127.0.0.1:1/"}),
            ],
            OutcomeStatus.UNKNOWN: [
                Answer(status=500),
                Answer(resets=True),
                Answer(hangs=True),
                Answer("slow" * 40, drips=True),
            ],
        }
        for status, answers in cases.items():
            for answer in answers:
                api.answer = lambda _, answer=answer: answer
                before = len(api.done)
                outcome = await runner.run(tool.tool, {"table": "4"}, key="k")
                assert outcome.status is status, (answer, outcome)
                assert len(outcome.text) <= tool.tool.max_chars
                assert len(api.done) == before + 1
        refused = await runner.run(tool.tool, {"table": ".."}, key="k")
        assert refused.status is OutcomeStatus.REFUSED
        again = _TOOL.replace("URL", api.url).replace("time_limit_secs: 0.3", "repeatable: true")
        (repeatable,) = _declared(tmp_path, again)
        answers = iter([Answer(resets=True), Answer({"ok": 2})])
        api.answer = lambda _: next(answers)
        before = len(api.done)
        outcome = await HttpTools([repeatable]).run(repeatable.tool, {"table": "4"}, key="same")
        assert outcome.status is OutcomeStatus.DONE
        assert [done.key for done in api.done[before:]] == ["same", "same"]
        await runner.aclose()
    gone = await HttpTools([tool]).run(tool.tool, {"table": "4"}, key="k")
    assert gone.status is OutcomeStatus.FAILED


class _Records:
    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def tool_started(self, name: str, arguments: Any, *, idempotency_key: str) -> Any:
        self.kept[idempotency_key] = "started"
        return idempotency_key

    def tool_ended(self, call_id: Any, status: Any, *, result: str | None = None) -> None:
        self.kept[call_id] = status.value

    async def drain(self, *, timeout_secs: float) -> None:
        await asyncio.sleep(0)


class _Call:
    def __init__(self) -> None:
        self.recorder = _Records()
        self.frames: list[Any] = []
        self.events: list[Any] = []
        self.lines = Lines(Language.EN)
        self.driver = SimpleNamespace(node="conversation", talking=True)
        self.grounding = None
        self.reply_by_voice = False
        self.user_muted = False
        self.worker = SimpleNamespace(queue_frame=self._queue)
        self.page = SimpleNamespace(tell=self._tell, tell_soon=self.events.append)

    async def _queue(self, frame: Any) -> None:
        self.frames.append(frame)

    async def _tell(self, event: Any) -> None:
        self.events.append(event)


async def test_hundreds_of_calls_under_faults_are_each_done_at_most_once_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers are cut off as by a barge-in, and the model asks for the same again."""
    monkeypatch.setattr("sonora_app.call.tools.calls.PATIENCE_SECS", 0.02)
    monkeypatch.setattr("sonora_app.call.tools.calls._LEAST_PATIENCE_SECS", 0.005)
    chance = Random(5)
    faults = [
        *(Answer({"ok": 1}, after_secs=secs) for secs in (0.0, 0.01, 0.03, 0.06)),
        *(Answer(status=500), Answer(resets=True), Answer(raw=b"{"), Answer(raw=b"x" * 300_000)),
        *(Answer(hangs=True), Answer({"ok": 1}, status=409)),
    ]
    async with ToolApi().serving() as api:
        api.answer = lambda _: chance.choice(faults)
        (tool,) = _declared(tmp_path, _TOOL.replace("URL", api.url))
        call = _Call()
        calls = ToolCalls(Toolbox([tool.tool], {HTTP: HttpTools([tool])}), Silence())
        calls.follow(call)  # type: ignore[arg-type]
        handler: Any = calls.functions()["conversation"][0].handler
        results: list[Any] = []

        async def one() -> None:
            arguments = {"table": uuid4().hex}
            asked = asyncio.create_task(handler(arguments, None))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.05)
                asked.cancel()
            again = handler(arguments, None) if chance.random() < 0.3 else asyncio.sleep(0)
            results.extend(await asyncio.gather(asked, again, return_exceptions=True))

        for _ in range(20):
            await asyncio.gather(*(one() for _ in range(15)))
        await calls.finish(5.0)
        calls.stop()
        done = Counter(each.path for each in api.done)
        kept = call.recorder.kept
        # A call that was cut off before it began is not done at all.
        assert len(kept) > 200
        assert set(done.values()) == {1}
        assert {each.key for each in api.done} <= kept.keys()
        assert "started" not in kept.values()
        assert sum(state == "done" for state in kept.values()) <= len(done)
        late = [json.dumps(f.messages) for f in call.frames if hasattr(f, "messages")]
        assert len(late) == len(set(late))
        assert {each.id for each in call.events} == {e.id for e in call.events if e.took_ms}


_NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}}


def _calls_of(
    tool: Tool, ran: list[dict[str, Any]], call: _Call | None = None
) -> tuple[ToolCalls, Any]:
    """A call's tools, of which there is one, and its function."""

    class Runner:
        async def run(self, tool: Tool, arguments: Any, *, key: str) -> Outcome:
            ran.append(dict(arguments))
            return Outcome(OutcomeStatus.DONE, "ok")

    calls = ToolCalls(Toolbox([tool], {"own": Runner()}), Silence())
    calls.follow(call or _Call())  # type: ignore[arg-type]
    return calls, calls.functions()["conversation"][0].handler


async def test_the_tool_in_python_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (PROJECT / "docs/tools.md").read_text("utf-8").split("## A tool in Python")[1]
    code, declared = (
        each.split("```")[0] for each in re.split(r"```(?:python|yaml)\n", section)[1:3]
    )
    (tmp_path / "dice_of_docs.py").write_text(f"{code}\nasync def fail(sides): raise OSError\n")
    monkeypatch.syspath_prepend(tmp_path)
    declared = declared.replace("flows.dice", "dice_of_docs")
    (tool,) = _declared(tmp_path, declared)
    outcome = await PythonTools([tool]).run(tool.tool, {"sides": 6}, key="k")
    assert outcome.status is OutcomeStatus.DONE
    assert 1 <= json.loads(outcome.text)["rolled"] <= 6
    assert not tool.tool.repeatable
    (failing,) = _declared(tmp_path, declared.replace(":roll", ":fail"))
    outcome = await PythonTools([failing]).run(failing.tool, {"sides": 6}, key="k")
    assert outcome.status is OutcomeStatus.UNKNOWN
    with pytest.raises(SettingsError, match="tool roll_dice, function: dice_of_docs:gone cannot"):
        _declared(tmp_path, declared.replace(":roll", ":gone"))


async def test_what_must_be_confirmed_waits_until_the_person_replies_to_the_bot() -> None:
    ran: list[dict[str, Any]] = []
    calls, handler = _calls_of(Tool("pay", "Pay it.", _NUMBER, source="own", confirm=True), ran)
    for _ in range(2):
        result, _answer = await handler({"n": 1}, None)
        assert result["status"] == "to_be_confirmed"
        calls.user_said(typed=False)  # who was cut off goes on, and was asked nothing yet
    calls.bot_said("¿Lo pago?")
    calls.user_said(typed=False)
    result, _answer = await handler({"n": 2}, None)
    assert result["status"] == "to_be_confirmed"
    result, _answer = await handler({"n": 1}, None)
    assert result["status"] == "done"
    assert ran == [{"n": 1}]
    result, _answer = await handler({"n": "1"}, None)
    assert result["status"] == "refused"


async def test_a_question_that_was_just_said_yes_to_is_not_asked_again() -> None:
    ran: list[dict[str, Any]] = []
    calls, handler = _calls_of(Tool("pay", "Pay it.", _NUMBER, source="own", confirm=True), ran)
    question = "¿Le pago los tres pesos?"
    arguments = {"n": 3, CONFIRMED_BY: question}
    calls.bot_said(f"Muy bien. {question}")
    result, _answer = await handler(arguments, None)
    assert result["status"] == "to_be_confirmed", "they have not answered yet"
    calls.user_said(typed=True)
    calls.bot_said("¿Cómo dice?")
    calls.user_said(typed=True)
    result, _answer = await handler({"n": 4, CONFIRMED_BY: "¿Le pago los cuatro?"}, None)
    assert result["status"] == "to_be_confirmed", "nobody asked that"
    calls.bot_said(f"Muy bien. {question}")
    calls.user_said(typed=True)
    result, _answer = await handler(arguments, None)
    assert result["status"] == "done"
    assert ran == [{"n": 3}]


@pytest.mark.parametrize("cut_off", [True, False])
async def test_a_result_that_was_cut_off_on_its_way_to_the_model_is_told_once(
    cut_off: bool,
) -> None:
    call = _Call()
    tools, handler = _calls_of(Tool("pay", "Pay it.", _NUMBER, source="own"), [], call)
    in_hand = asyncio.Event()

    async def function_call() -> None:
        result, _answer = await handler({"n": 1}, None)
        assert result["status"] == "done"
        in_hand.set()
        await asyncio.sleep(0.05)  # Pipecat takes the result.

    asked = asyncio.create_task(function_call())
    await in_hand.wait()
    if cut_off:
        asked.cancel()
    await asyncio.wait({asked})
    await asyncio.sleep(0.05)
    tools.stop()
    told = [frame.messages for frame in call.frames if hasattr(frame, "messages")]
    assert len(told) == cut_off
    assert all('"status": "done"' in str(messages) for messages in told)


async def test_what_was_perhaps_done_in_an_earlier_call_is_told_and_not_done_again_unasked() -> (
    None
):
    ran: list[dict[str, Any]] = []
    call = _Call()
    calls, handler = _calls_of(Tool("pay", "Pay something.", _NUMBER, source="own"), ran, call)
    now = utc_now()

    def kept(number: int, status: ToolStatus, result: str | None) -> KeptCall:
        return KeptCall(
            id=uuid7(),
            conversation_id=uuid7(),
            session_id=uuid7(),
            name="pay",
            arguments={"n": number},
            status=status,
            result=result,
            idempotency_key=str(number),
            started_at=now,
        )

    begun = kept(3, ToolStatus.STARTED, None)
    reads = [
        [kept(1, ToolStatus.DONE, "Paid."), kept(2, ToolStatus.UNKNOWN, None), begun],
        [begun.model_copy(update={"status": ToolStatus.DONE, "result": "Paid late."})],
    ]

    class Kept:
        async def tool_calls(self, _: Any, *, limit: int) -> Any:
            return reads.pop(0)

    opened = SimpleNamespace(resumed=True, conversation_id=uuid7(), session_id=uuid7())
    calls.recall(Kept(), opened)  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while reads:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
    told = [f.messages[0]["content"] for f in call.frames if hasattr(f, "messages")]
    assert 'pay <quoted>{"n": 1}</quoted>: done <quoted>Paid.</quoted>' in told[0]
    assert 'pay <quoted>{"n": 2}</quoted>: unknown' in told[0]
    assert 'pay <quoted>{"n": 3}</quoted>: unknown' in told[0]
    assert "Paid late." in told[1]
    calls.user_said(typed=True)
    result, _answer = await handler({"n": 2}, None)
    assert result["status"] == "to_be_confirmed"
    assert "not known whether it was done" in result["note"]
    calls.bot_said("¿Lo pago otra vez?")
    calls.user_said(typed=True)
    result, _answer = await handler({"n": 2}, None)
    assert result["status"] == "done"
    assert ran == [{"n": 2}]
    calls.stop()


def test_references_in_parameters_reach_the_model_and_are_held_against() -> None:
    place = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    place["properties"]["near"] = {"$ref": "#/$defs/Place"}  # type: ignore[index]
    schema = {
        "type": "object",
        "properties": {"to": {"$ref": "#/$defs/Place", "description": "Where to."}},
        "required": ["to"],
        "$defs": {"Place": place},
    }
    function: Any = function_of(Tool("go", "Go there.", schema), asked=None)  # type: ignore[arg-type]
    to = function.properties["to"]
    assert (to["description"], to["required"]) == ("Where to.", ["city"])
    assert to["properties"]["near"]["properties"]["city"] == {"type": "string"}
    assert "$ref" not in json.dumps(function.properties)
    assert argument_mistakes({"to": {"city": "León", "near": {"city": "Lagos"}}}, schema) == []
    assert argument_mistakes({"to": {"city": "León", "near": {}}}, schema) == [
        "to.near: 'city' is a required property"
    ]


def test_parameters_that_refer_to_each_other_stay_short() -> None:
    names = [f"d{number}" for number in range(12)]
    each = {"type": "object", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names}}
    schema = {**each, "$defs": dict.fromkeys(names, each)}
    assert schema_mistake(schema) is None
    assert len(json.dumps(without_references(schema))) < 50_000
    deep = {"d0": {"d1": {"d2": {"d3": {"d4": 5}}}}}
    assert argument_mistakes(deep, schema) == ["d0.d1.d2.d3.d4: 5 is not of type 'object'"]


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/x", "#/$defs/Gone", "gone.json", "#"])
def test_a_reference_that_leads_elsewhere_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: asked.append(given))  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    schema = {"type": "object", "properties": {"a": {"$ref": reference}, "b": {"type": "string"}}}
    assert argument_mistakes({"b": 5}, schema) == ["b: 5 is not of type 'string'"]
    assert argument_mistakes({"a": {}}, schema) == []
    assert asked == []

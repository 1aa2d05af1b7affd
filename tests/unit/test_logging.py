"""No line from INFO up holds what people say, whichever library logs it."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType

import pipecat
import pytest
from loguru import logger
from openai import BadRequestError
from pipecat.frames.frames import TTSSpeakFrame

from sonora_app.runtime.logging import redact_logs
from sonora_app.runtime.withheld import WITHHELD, kind_of, without_words

pytestmark = pytest.mark.unit

SECRET = "Me duele la rodilla"
ROOMS = (
    *("flows", "processors", "pipeline", "runner", "services.deepgram", "services.openai"),
    *("transports.smallwebrtc", "turns", "utils.asyncio", "utils.context", "utils.text"),
)
RISKY = re.compile(r"(message|text|frame|content|word|data|msg|error|\be)('|\"|\)|})*$")
"""What holds words of people, or an exception that may quote them."""
SIZES = re.compile(r"\b(type|len)\(")
LEVELS = ("info", "success", "warning", "error", "exception", "critical")


@pytest.fixture
def lines() -> Generator[list[str]]:
    """What a process shows at INFO, with a traceback's values where a host asks for them."""
    shown: list[str] = []
    redact_logs()
    sink = logger.add(lambda line: shown.append(str(line)), level="INFO", diagnose=False)
    yield shown
    logger.remove(sink)
    logger.configure(patcher=lambda record: None)


def library(source: str, folder: Path, **names: object) -> ModuleType:
    """A module of somebody else's that logs."""
    path = folder / "elsewhere.py"
    path.write_text("from loguru import logger\n\ndef work():\n" + source, encoding="utf-8")
    made = ModuleType("elsewhere")
    vars(made).update(names)
    exec(compile(path.read_text("utf-8"), str(path), "exec"), vars(made))  # ours
    return made


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            'logger.warning(f"Ignoring not RTVI message: {message}")',
            "Ignoring not RTVI message: […]",
        ),
        ('logger.warning(f"{self}: not speaking [{text}]")', "Service#1: not speaking [[…]]"),
        ('logger.info(f"heard {len(text)} letters")', "heard 19 letters"),
        ('logger.info(f"heard {text!r} from {name}")', "heard […] from a part"),
        ("logger.error(text)", "[…]"),
        ('logger.error(f"{self} exception (a.py:1): {text}")', "Service#1 exception (a.py:1): […]"),
        ("logger.error(whole)", "Service#1 exception (a.py:1): […]"),
        ('logger.error("got {} and {name}", text, name=text)', "got […] and […]"),
        ('logger.error("got {" + text)', "[…]"),
        ('logger.opt(depth=0).warning(f"{text}")', "[…]"),
        (
            'logger.warning(\n        f"{self}: in two "\n        f"lines: {text}",\n    )',
            "Service#1: in two lines: […]",
        ),
        ('logger.error(f"a frame: {frame}")', "a frame: TTSSpeakFrame#7 […]"),
        (
            "try:\n        raise ValueError(text)\n    except ValueError as e:\n"
            '        logger.error(f"{self} failed: {e}")',
            "Service#1 failed: [ValueError]",
        ),
        (
            'try:\n        raise ConnectionRefusedError(111, "refused")\n    except OSError as e:\n'
            '        logger.error(f"{self} failed: {e}")',
            "Service#1 failed: [ConnectionRefusedError ([Errno 111] refused)]",
        ),
        ('logger.info("nothing to see")', "nothing to see"),
    ],
)
def test_a_librarys_line_keeps_its_own_words_alone(
    statement: str, shown: str, lines: list[str], tmp_path: Path
) -> None:
    made = library(
        f"    {statement}\n",
        tmp_path,
        self="Service#1",
        name="a part",
        text=SECRET,
        tricky=f"A quart of {SECRET}",
        message={"label": SECRET},
        whole=f"Service#1 exception (a.py:1): {SECRET}",
        frame=f"TTSSpeakFrame#7(text: [{SECRET}])",
    )
    made.work()

    (line,) = lines
    assert line.rstrip().endswith(f" - {shown}")
    assert SECRET not in line


def test_a_traceback_tells_the_kind_and_the_place(lines: list[str], tmp_path: Path) -> None:
    source = (
        "    try:\n        raise KeyError(text)\n"
        "    except KeyError:\n        logger.exception(f'lost {text}')\n"
    )
    library(source, tmp_path, text=SECRET).work()

    (line,) = lines
    assert "lost [KeyError]" in line
    assert "elsewhere.py" in line
    assert line.rstrip().endswith("KeyError: […]")
    assert SECRET not in line


def test_at_debug_the_whole_line_is_there(lines: list[str], tmp_path: Path) -> None:
    whole: list[str] = []
    sink = logger.add(
        lambda line: whole.append(str(line)), level="DEBUG", format="{level} {name} {message}"
    )
    library('    logger.warning(f"got {text}")\n', tmp_path, text=SECRET).work()
    logger.remove(sink)

    assert whole == [f"DEBUG elsewhere got {SECRET}\n", "WARNING elsewhere got […]\n"]
    assert SECRET not in lines[0]


def test_our_own_lines_are_as_they_are(lines: list[str]) -> None:
    from sonora_app.runtime import jitter

    class Other:
        kind = "audio"
        receiver = object()

    class Connection:
        def getTransceivers(self) -> list[Other]:  # aiortc's
            return [Other()]

    assert jitter.shorten_jitter_buffers(Connection()) == 0  # type: ignore[arg-type]
    assert "aiortc keeps its jitter buffer elsewhere now" in lines[0]


def logging_calls() -> Iterator[tuple[str, ast.Call]]:
    """Every statement that logs from INFO up in what a call is made of."""
    for room in ROOMS:
        package = importlib.import_module(f"pipecat.{room}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            path = getattr(found.module_finder, "path", "")
            file = Path(str(path)) / f"{found.name.rpartition('.')[2]}.py"
            if not file.exists():
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "logger"
                    and node.func.attr in LEVELS
                ):
                    yield str(file), node


def test_every_line_of_pipecats_is_taken_apart() -> None:
    """Each is filled in with something that was said wherever words could be."""
    seen = quoting = 0
    for file, call in logging_calls():
        (made, *_) = call.args
        parts = made.values if isinstance(made, ast.JoinedStr) else [made]
        message = "".join(
            str(part.value) if isinstance(part, ast.Constant) else SECRET for part in parts
        )
        shown = without_words(message, file, call.lineno)
        seen += 1
        for part in parts:
            if isinstance(part, ast.Constant):
                assert str(part.value) in shown, (file, call.lineno, shown)
        words = [ast.unparse(part) for part in parts if not isinstance(part, ast.Constant)]
        risky = [word for word in words if RISKY.search(word) and not SIZES.search(word)]
        if risky and len(risky) == len(words):
            quoting += 1
            assert SECRET not in shown, (file, call.lineno, shown)
    assert seen > 200
    assert quoting > 40


def test_a_frame_is_named_without_its_words() -> None:
    frame = TTSSpeakFrame(text=SECRET)
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        shown = without_words(f"{frame}", __file__, inspect.currentframe().f_lineno)  # type: ignore[union-attr]
    assert SECRET not in shown
    assert frame.name in shown or WITHHELD in shown


def test_what_a_vendor_answers_is_not_quoted() -> None:
    import httpx2

    response = httpx2.Response(400, request=httpx2.Request("POST", "http://vendor.example"))
    error = BadRequestError(SECRET, response=response, body={"code": "context_length_exceeded"})

    assert kind_of(error) == "BadRequestError 400 context_length_exceeded"
    assert SECRET not in kind_of(ValueError(SECRET))
    assert pipecat.__name__ in sys.modules

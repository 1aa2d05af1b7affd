"""What is put off is loaded by its first use, whole, once, and by whoever comes first."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from sonora_app.runtime.deferred import _Finder  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]

Put = Callable[..., ModuleType]


@pytest.fixture
def put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Writes a package with a module in its folder, and imports it put off."""
    name = "put_off_for_a_test"

    def write(text: str) -> ModuleType:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(text, encoding="utf-8")
        (folder / "part.py").write_text("WHOLE = False", encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(sys, "meta_path", [_Finder([name]), *sys.meta_path])
        return import_module(name)

    yield write
    for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[loaded]


def test_it_is_loaded_when_something_is_asked_for(put_off: Put) -> None:
    module = put_off("from put_off_for_a_test.part import WHOLE\nVALUE = 1")
    assert "VALUE" not in vars(module)
    assert module.VALUE == 1
    assert module.WHOLE is False


def test_what_is_in_its_folder_is_imported_without_it(put_off: Put) -> None:
    module = put_off("VALUE = 1")
    assert import_module(f"{module.__name__}.part").WHOLE is False
    assert "VALUE" not in vars(module)


def test_what_is_not_there_is_missed_as_ever(put_off: Put) -> None:
    module = put_off("VALUE = 1")
    with pytest.raises(AttributeError, match="has no attribute 'OTHER'"):
        _ = module.OTHER


def test_a_module_may_answer_for_itself(put_off: Put) -> None:
    module = put_off("def __getattr__(name):\n    return name.lower()")
    assert module.OTHER == "other"
    assert module.ANOTHER == "another"


def test_what_could_not_be_loaded_is_tried_again(put_off: Put, tmp_path: Path) -> None:
    module = put_off("from put_off_for_a_test.part import VALUE")
    with pytest.raises(ImportError):
        _ = module.VALUE
    sys.modules[f"{module.__name__}.part"].VALUE = 1  # pyright: ignore[reportAttributeAccessIssue]
    assert module.VALUE == 1


def test_threads_that_ask_together_all_get_it(put_off: Put) -> None:
    module = put_off("import time\nFIRST = []\ntime.sleep(0.05)\nVALUE = 1")
    together = threading.Barrier(8)
    got: list[int] = []

    def ask() -> None:
        together.wait()
        got.append(module.VALUE)

    threads = [threading.Thread(target=ask) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * together.parties


# What the vendors' clients and Pipecat's transports have imported of what is put off, and that it
# is there for whoever uses it.
USES = """
import sys
from sonora_app.runtime.deferred import defer_unused_imports

defer_unused_imports()
import pipecat.services.openai.llm
import pipecat.transports.base_output
from PIL import Image

for name, one in {"openai.types.responses": "Response", "PIL.Image": "new"}.items():
    assert one not in vars(sys.modules[name]), f"{name} was loaded"

from openai import AsyncOpenAI
from openai.types.responses import Response

assert AsyncOpenAI(api_key="x").responses.create
assert Response.model_validate_json  # a model like any other
assert Image.new("RGB", (2, 1)).size == (2, 1)
"""


def test_libraries_work_with_it_put_off() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", USES], cwd=PROJECT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr

"""How many calls a machine is said to hold, by what was measured of it."""

from contextlib import aclosing
from pathlib import Path

import pytest

from sonora_app.doctor import capacity
from sonora_app.doctor.capacity import Tried, advised, try_calls
from sonora_app.errors import SettingsError

pytestmark = pytest.mark.unit


def tried(calls: int, ratio: float, unanswered: int = 0) -> Tried:
    return Tried(calls, 450 * ratio, ratio, unanswered)


@pytest.mark.parametrize(
    ("steps", "most"),
    [
        ([tried(1, 1.0), tried(4, 1.1), tried(8, 1.24)], 8),
        ([tried(1, 1.0), tried(4, 1.1), tried(8, 1.3)], 4),
        ([tried(1, 1.0), tried(4, 1.1, unanswered=1), tried(8, 1.1)], 1),
        ([tried(1, 1.0, unanswered=3)], 0),
        ([], 0),
    ],
)
def test_the_limit_is_the_most_whose_answers_were_quick(steps: list[Tried], most: int) -> None:
    assert advised(steps) == most


def project(folder: Path, program: str) -> Path:
    """A checkout whose measurement is this program."""
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "capacity.py").write_text(program, encoding="utf-8")
    return folder


async def test_what_is_measured_is_read_as_it_comes(tmp_path: Path) -> None:
    line = '{"calls": 1, "p95_ms": 450, "ratio": 1.0, "unanswered": 0}'
    async with aclosing(try_calls(project(tmp_path, f"print({line!r})"))) as steps:
        assert [step async for step in steps] == [tried(1, 1.0)]


@pytest.mark.parametrize("program", ["raise SystemExit(1)", None])
async def test_a_measurement_that_cannot_be_made_is_said(
    tmp_path: Path, program: str | None
) -> None:
    where = tmp_path if program is None else project(tmp_path, program)
    with pytest.raises(SettingsError):
        await anext(try_calls(where))


async def test_without_the_packages_that_it_needs_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "NEEDED", "a_package_that_is_not_there")
    where = project(tmp_path, "open('started', 'w').close()")
    with pytest.raises(SettingsError) as refused:
        await anext(try_calls(where))
    assert "a_package_that_is_not_there" in refused.value.message
    assert "uv run --group dev sonora doctor --calls" in refused.value.hint
    assert not (where / "started").exists()

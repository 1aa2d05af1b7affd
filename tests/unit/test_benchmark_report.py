"""What the benchmarks measured, as tables and pictures in a page."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.dictation import DictatedDeepgram, heard_secs
from benchmarks.figures import Figure, Measurement, Results
from benchmarks.long_answers import went_on_secs
from benchmarks.report import publish, table
from benchmarks.turns import PARTS, Turn
from simulators.clients.webrtc import FRAME_SECS

pytestmark = pytest.mark.unit

_PAGE = """# Title

Before.

<!-- results: voice-to-voice -->
Stale figures.
<!-- end -->

<!-- results: summary -->
<!-- end -->

After.
"""


def _results() -> Results:
    whole = Figure(
        name="voice to voice",
        unit="ms",
        values={"scaffold": [1200.0, 1100.0, 1300.0], "Sonora": [600.0, 700.0, 500.0]},
        target=0.65,
    )
    longest = Figure(
        name="longest wait",
        unit="ms",
        values={"scaffold": [3900.0], "Sonora": [1950.0]},
        limit=2000.0,
    )
    part = Figure(
        name="uplink",
        unit="ms",
        values={"scaffold": [90.0], "Sonora": [40.5]},
        part_of="voice to voice",
    )
    measured = Measurement(
        title="Voice to voice",
        how="By ear.",
        figures=[whole, part, longest],
        traces={
            name: {part: each * (number + 1) for number, part in enumerate(PARTS)}
            for name, each in (("scaffold", 150.0), ("Sonora", 75.0))
        },
        series={"scaffold": [170.0, 260.0], "Sonora": [180.0, 181.0]},
    )
    return Results(machine={"cores": "2"}, measurements={"voice-to-voice": measured})


def test_a_row_has_medians_ranges_and_their_ratio() -> None:
    rows = table(_results().measurements["voice-to-voice"].figures).splitlines()
    assert rows[2] == (
        "| voice to voice | 1,200 ms [1,100–1,300] | 600 ms [500–700] | 0.50 | ≤ 0.65 |"
    )
    assert rows[3] == "| · uplink | 90 ms | 40.5 ms |  |  |"
    assert rows[4] == "| longest wait | 3,900 ms | 1,950 ms | 0.50 | ≤ 2,000 ms |"


def test_results_go_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(_PAGE, encoding="utf-8")
    for _ in range(2):  # the second time into what the first has written
        publish(_results(), tmp_path)
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# Title\n\nBefore.\n")
        assert text.endswith("<!-- end -->\n\nAfter.\n")
        assert text.count("voice to voice |") == 2  # in its own table and in the summary
        assert text.count("longest wait |") == 2
        assert text.count("| · uplink |") == 1
        assert "Stale figures." not in text
    kept = (tmp_path / "benchmarks" / "results.json").read_text(encoding="utf-8")
    assert '"date"' in kept, "it would seem measured on the day that it is read"
    assert Results.load(tmp_path / "benchmarks" / "results.json") == _results()
    pictures = sorted((tmp_path / "benchmarks").glob("*.svg"))
    assert [picture.name for picture in pictures] == [
        "voice-to-voice-series.svg",
        "voice-to-voice-turn.svg",
        "voice-to-voice.svg",
    ]
    for picture in pictures:
        ElementTree.parse(picture)
        assert f"](benchmarks/{picture.name})" in text


def test_a_turn_is_cut_when_the_model_is_told_it_as_two() -> None:
    marks = (0.1, 0.3, 0.45, 0.46, 0.8, 0.9, 1.0, 1.1)
    whole = Turn(total_secs=1.1, marks_secs=marks, requests=2, told_as=1, early=False)
    assert not whole.cut
    assert whole.parts_secs["endpointing"] == pytest.approx(0.2)
    assert sum(whole.parts_secs.values()) == pytest.approx(whole.total_secs)
    assert Turn(total_secs=1.1, marks_secs=marks, requests=2, told_as=2, early=False).cut
    assert Turn(total_secs=1.1, marks_secs=marks, requests=1, told_as=1, early=True).cut


def test_an_answer_goes_on_until_a_silence_longer_than_between_words() -> None:
    sounds = [9.7, 9.9, 10.1, 10.15, 11.5]
    assert went_on_secs(sounds, 10.0) == pytest.approx(0.15)
    assert went_on_secs(sounds, 9.95) == pytest.approx(0.2)
    assert went_on_secs(sounds, 10.9) is None, "there was nothing to cut off"


async def test_what_is_dictated_is_heard_up_to_the_moment_of_asking() -> None:
    vendor = DictatedDeepgram("key")
    vendor.expect((("Hola,", 0.0), ("Ana", 60.0)), np.array([500.0, 2000.0, 1000.0]))
    unused = None  # the words are found by their times, not in the sound
    vendor.listen(2000.0)
    assert await vendor.recognise(unused) == "Hola."  # type: ignore[arg-type]
    assert list(vendor.hears) == ["Ana"]
    assert await vendor.recognise(unused) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize("silent_steps", [0, 40])
@pytest.mark.parametrize("network", ["good", "lossy"])
@pytest.mark.parametrize("heard_steps", [20, 77, 150])
def test_how_much_was_heard_is_found_by_how_loud_it_was(
    silent_steps: int, network: str, heard_steps: int
) -> None:
    chance = np.random.default_rng(1)
    # A burst, a closure, and then syllables, as speech has them.
    expected = np.abs(np.sin(np.arange(150) / 3)) * chance.uniform(500, 4000, 150)
    expected[:5] = (1500, 20, 20, 20, 20)
    loud = [*chance.uniform(0, 20, silent_steps), *(expected[:heard_steps] * 0.7)]
    late = 0.015 if network == "lossy" else 0.0
    heard = [
        (100 + step * FRAME_SECS + chance.uniform(0, late), level)
        for step, level in enumerate(loud)
        if network == "good" or step in (0, len(loud) - 1) or chance.random() > 0.03
    ]
    found = heard_secs(heard, expected)
    assert found == pytest.approx(heard_steps * FRAME_SECS, abs=1.5 * FRAME_SECS)


def test_another_checkout_stands_where_the_scaffold_does_and_meets_no_target() -> None:
    figures = [
        Figure(name="wait", unit="ms", values={"1a2b3c4": [400.0], "Sonora": [420.0]}, target=0.65)
    ]

    assert table(figures).splitlines() == [
        "| figure | 1a2b3c4 | Sonora | ratio | target |",
        "|---|---|---|---|---|",
        "| wait | 400 ms | 420 ms | 1.05 |  |",
    ]

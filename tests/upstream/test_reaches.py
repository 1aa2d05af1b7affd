"""The private members that Sonora uses are those of the list, and are what they were."""

import textwrap

import pytest

from tests.upstream.page import PAGE, page
from tests.upstream.reaches import Place, Reach, class_of, find_in, fingerprint, found, listed

pytestmark = pytest.mark.unit

ENTRIES = listed()


@pytest.fixture(scope="module")
def places() -> list[Place]:
    return found()


def _belongs(place: Place, entry: Reach) -> bool:
    return (
        place.member == entry.member
        and place.module in entry.modules
        and place.owner in (entry.owner, None)
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.owner}.{entry.member}")
def test_what_is_used_of_others_is_what_it_was(entry: Reach) -> None:
    needed = f"{', '.join(entry.modules)} needs it: {entry.why} (upstream.md says what to do)"
    name = f"{entry.owner}.{entry.member}"
    try:
        kind, parameters, source = fingerprint(class_of(entry.owner), entry.member)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{entry.installed} has no {name} any more ({error}). {needed}")
    then = f"as of {entry.release}"
    assert kind == entry.kind, f"{entry.installed}: {name} was a {entry.kind} {then}. {needed}"
    assert parameters == entry.parameters, (
        f"{entry.installed}: {name} takes {parameters}, not {entry.parameters} {then}. {needed}"
    )
    assert source == entry.source, (
        f"{entry.installed}: the source of {name} is not what it was {then}. {needed}"
    )


def test_every_private_reach_is_on_the_list(places: list[Place]) -> None:
    unlisted = [place for place in places if not any(_belongs(place, e) for e in ENTRIES)]
    assert not unlisted, "not in tests/upstream/reaches.yaml:\n" + "\n".join(map(str, unlisted))


def test_nothing_is_on_the_list_that_is_not_used(places: list[Place]) -> None:
    for entry in ENTRIES:
        used = [place for place in places if _belongs(place, entry)]
        assert sorted({place.use for place in used}) == entry.use, entry
        assert sorted({place.module for place in used}) == entry.modules, entry


def test_the_page_says_what_the_list_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(ENTRIES), (
        "write it anew: uv run python -m tests.upstream.write"
    )


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ('vars(packet)["_data"]', {("_data", "by name")}),
        ('getattr(track, "_queue", None)', {("_queue", "by name")}),
        ('setattr(track, "_queue", [])', {("_queue", "by name")}),
        ('FIELDS = ("_a", "_b")', {("_a", "by name"), ("_b", "by name")}),
        ("connection._socket.close()", {("_socket", "read")}),
        ("connection._abort()", {("_abort", "call")}),
        ("from openai import _models", {("_models", "import")}),
        ("import openai._models", {("_models", "import")}),
        ('_T = TypeVar("_T")', set[tuple[str, str]]()),
        ("os._exit(1)", set[tuple[str, str]]()),
        ("module.__name__", set[tuple[str, str]]()),
    ],
)
def test_a_reach_is_found_however_it_is_written(source: str, uses: set[tuple[str, str]]) -> None:
    assert {(place.member, place.use) for place in find_in(source, "nothing", "a.py")} == uses


def test_the_members_of_a_base_class_are_told_from_ones_own() -> None:
    source = textwrap.dedent(
        """
        class LastingFluxSTTService(DeepgramFluxSTTService):
            def _own(self):
                self._mine = self._websocket
                super()._connect_websocket()

            def _handle_message(self, data):
                self._mine
        """
    )
    found_here = find_in(source, "sonora_app.vendors.deepgram.flux", "a.py")
    assert {(place.member, place.use) for place in found_here} == {
        ("_websocket", "read"),
        ("_connect_websocket", "call"),
        ("_handle_message", "override"),
    }

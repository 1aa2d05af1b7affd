"""The built page is what its sources give, and is light."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from simulators.clients.npm import installed, program, run
from tests.browser.conftest import CONSOLE

pytestmark = pytest.mark.browser

MAX_BYTES = 100_000
"""Of the whole page, compressed."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the console with its packages installed from the lock file."""
    copy = tmp_path_factory.mktemp("build") / "console"
    shutil.copytree(CONSOLE, copy, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    # The page says of calls what the commands say.
    shutil.copytree(CONSOLE.parent / "wording", copy.parent / "wording")
    (copy / "node_modules").symlink_to(installed(CONSOLE) / "node_modules")
    return copy


def test_the_built_files_are_what_the_sources_give(sources: Path, tmp_path: Path) -> None:
    run([program("node"), "build.mjs", str(tmp_path)], sources)

    built = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    kept = {file.name: file.read_bytes() for file in (CONSOLE / "static").iterdir()}
    assert built.keys() == kept.keys()
    stale = sorted(name for name in built if built[name] != kept[name])
    assert not stale, f"npm run build, in sonora_app/console, would change {stale}"


def test_the_types_fit(sources: Path) -> None:
    run([str(sources / "node_modules" / ".bin" / "tsc"), "--noEmit"], sources)


def test_the_page_is_light() -> None:
    weights = {
        name: len(gzip.compress((CONSOLE / "static" / name).read_bytes(), 9))
        for name in ("index.html", "console.css", "console.js")
    }
    print(f"compressed, in bytes: {weights}, together {sum(weights.values())}")

    assert sum(weights.values()) < MAX_BYTES


def test_the_lock_names_no_place_to_download_from() -> None:
    lock = json.loads((CONSOLE / "package-lock.json").read_text("utf-8"))

    assert lock["packages"]
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_the_licences_of_what_is_in_the_script_are_kept() -> None:
    licences = (CONSOLE / "static" / "licenses.txt").read_text("utf-8")

    for name in ("@pipecat-ai/client-js", "@pipecat-ai/small-webrtc-transport", "preact"):
        assert f"\n{name} " in licences
    assert "@daily-co" not in licences, "Daily's media manager is not to be part of the page"

"""The models that run on this machine: how they are fetched, and `sonora models`."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from simulators.vendors.model_hub import ModelHub, model_hub
from sonora_app.cli import app
from sonora_app.local import catalogue, fetching
from sonora_app.local.catalogue import Model, ModelFile, Purpose, bytes_here, is_here
from sonora_app.local.fetching import FetchError, address_of, fetch

pytestmark = pytest.mark.unit

CONTENTS = {"config.json": b"{}", "model.bin": bytes(range(256)) * 4000}
MODEL = Model(
    name="whisper-test",
    purpose=Purpose.RECOGNITION,
    licence="MIT",
    url="https://hub.example/somebody/whisper/resolve/abc/",
    files=tuple(
        ModelFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in CONTENTS.items()
    ),
)
WEIGHTS = "/somebody/whisper/resolve/abc/model.bin"


@pytest.fixture
def hub() -> Generator[ModelHub]:
    with model_hub({f"/somebody/whisper/resolve/abc/{n}": c for n, c in CONTENTS.items()}) as hub:
        yield hub


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_WAIT_SECS", 0.01)


def ignore(done: int, size: int) -> None:
    """What nobody looks at."""


def test_a_model_is_fetched_once(hub: ModelHub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = fetch(MODEL, tmp_path / "m", mirror=hub.url, progress=lambda *done: told.append(done))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS
    assert told[-1] == (MODEL.size, MODEL.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert is_here(MODEL, tmp_path / "m")

    hub.refuses = 500
    assert fetch(MODEL, tmp_path / "m", mirror=hub.url, progress=ignore) == folder
    assert len(hub.asked) == 2


def test_what_broke_off_goes_on_where_it_was(hub: ModelHub, tmp_path: Path) -> None:
    hub.breaks_off_after = 300_000
    fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
    ranges = [asked for path, asked in hub.asked if path == WEIGHTS]
    assert ranges == ["", "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert is_here(MODEL, tmp_path)


def test_what_has_come_is_kept_for_the_next_try(hub: ModelHub, tmp_path: Path) -> None:
    hub.breaks_off_after, hub.ignores_ranges = 300_000, True
    with pytest.raises(FetchError, match=r"127\.0\.0\.1: .*") as failed:
        fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
    assert "sonora models fetch whisper-test" in failed.value.hint
    assert bytes_here(MODEL, tmp_path) == 300_002
    assert not is_here(MODEL, tmp_path)

    hub.breaks_off_after, hub.ignores_ranges = None, False
    hub.asked.clear()
    fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
    assert hub.asked == [(WEIGHTS, "bytes=300000-")]


@pytest.mark.parametrize("where", ["hub", "disk"])
def test_what_is_damaged_is_not_used(hub: ModelHub, tmp_path: Path, where: str) -> None:
    damaged = b"?" + CONTENTS["model.bin"][1:]
    if where == "hub":
        hub.files = {**hub.files, WEIGHTS: damaged}
        with pytest.raises(FetchError, match="not the file that was published"):
            fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
        assert not is_here(MODEL, tmp_path)
    else:
        folder = fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
        (folder / "model.bin").write_bytes(damaged)
        hub.asked.clear()
        fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
        assert hub.asked == [(WEIGHTS, "")]
        assert (folder / "model.bin").read_bytes() == CONTENTS["model.bin"]


@pytest.mark.parametrize(("status", "times"), [(404, 1), (503, fetching._TRIES)])
def test_what_is_not_there_is_not_asked_for_again(
    hub: ModelHub, tmp_path: Path, status: int, times: int
) -> None:
    hub.refuses = status
    with pytest.raises(FetchError, match=str(status)):
        fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
    assert len(hub.asked) == times


def test_two_who_want_the_same_fetch_it_once(hub: ModelHub, tmp_path: Path) -> None:
    hub.go_on.clear()
    arguments = {"mirror": hub.url, "progress": ignore}
    both = [Thread(target=fetch, args=(MODEL, tmp_path), kwargs=arguments) for _ in range(2)]
    for each in both:
        each.start()
    hub.go_on.set()
    for each in both:
        each.join()
    assert is_here(MODEL, tmp_path)
    assert len(hub.asked) == 2


def test_a_full_disk_is_told_before_anything_is_fetched(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_SPARE", 1 << 60)
    with pytest.raises(FetchError, match="more than the disk has free"):
        fetch(MODEL, tmp_path, mirror=hub.url, progress=ignore)
    assert hub.asked == []


def test_each_model_has_a_revision_a_licence_and_hashes() -> None:
    assert len(catalogue.catalogue()) >= 4
    for model in catalogue.catalogue().values():
        assert model.licence
        assert address_of(model, model.files[0]).startswith("https://")
        assert "/main/" not in model.url
        assert all(len(file.sha256) == 64 and file.size > 0 for file in model.files)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def test_the_command(hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "SONORA_DATA_DIR": str(tmp_path / "data"),
        "SONORA_MODELS_URL": hub.url,
        "SONORA_STT": "whisper",
        "SONORA_WHISPER_MODEL": "test",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(catalogue, "catalogue", lambda: {MODEL.name: MODEL})
    monkeypatch.setattr("sonora_app.commands.models.catalogue", lambda: {MODEL.name: MODEL})

    hub.refuses = 404
    failed = run("fetch")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "whisper-test cannot be fetched (127.0.0.1: 404)." in failed.stderr
    hub.refuses = None
    assert json.loads(run("list", "--json").stdout)[0]["here"] is False

    assert run("fetch").stdout == "whisper-test is here.\n"
    listed = json.loads(run("list", "--json").stdout)
    assert [(each["name"], each["here"]) for each in listed] == [("whisper-test", True)]
    assert run("list").stdout.split()[-1] == "here"

    assert run("remove", "whisper-test").stdout == "whisper-test was removed.\n"
    assert run("remove", "whisper-test").stdout == "whisper-test was not here.\n"
    assert list((tmp_path / "data" / "models").glob("whisper-test*/")) == []
    assert run("remove", "nonsense").exit_code == 2

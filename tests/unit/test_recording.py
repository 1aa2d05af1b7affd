"""The sound of a call grows on the disk, is there after a kill, and goes with its conversation."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonora_app.call.beginning.consent import Asker, Consent, consent_of, sound_of
from sonora_app.call.beginning.opening import OpeningRequest, open_conversation
from sonora_app.runtime.two_tracks import RATE, TwoTracks
from sonora_app.settings import Settings
from sonora_app.storage.files.folder import GROWING_SECS
from sonora_app.storage.files.kept_file import SOUND, KeptFile
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.orphaned_files import remove_orphans
from sonora_app.storage.positions import STATE_CHARS
from sonora_app.storage.records import Conversation, Session, utc_now, uuid7
from sonora_app.storage.store import Found

pytestmark = pytest.mark.unit

_TALKS = """
import sys, time
from pathlib import Path
from sonora_app.runtime.two_tracks import TwoTracks
tracks = TwoTracks(Path(sys.argv[1]))
while True:
    tracks.add(TwoTracks.LEFT, b"\\x10\\x20" * 320, 16_000)
    time.sleep(0.02)
"""


def tone(rate: int, secs: float) -> bytes:
    at = np.arange(int(rate * secs)) / rate
    return (9_000 * np.sin(2 * np.pi * 500 * at)).astype(np.int16).tobytes()


def played(path: Path) -> Any:
    """What one hears, as two rows, in the rate of the decoder."""
    import av

    with av.open(str(path)) as file:
        return np.concatenate([each.to_ndarray() for each in file.decode(audio=0)], axis=1)


def test_each_side_is_heard_when_it_spoke(tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.touch()
    tracks = TwoTracks(path)
    time.sleep(0.3)
    tracks.add(TwoTracks.LEFT, tone(16_000, 0.2), 16_000)
    time.sleep(0.5)
    tracks.add(TwoTracks.RIGHT, tone(RATE, 0.2), RATE)
    time.sleep(0.2)
    tracks.close()
    left, right = (np.abs(side) > 0.1 for side in played(path))
    # Half a second lies between them, or more, where the machine is busy.
    assert np.flatnonzero(right)[0] - np.flatnonzero(left)[0] > 0.4 * 48_000
    assert not (left & right).any(), "one side is not in the other"
    assert 0.1 * 48_000 < np.count_nonzero(left) < 0.2 * 48_000


def test_what_was_heard_up_to_a_kill_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.touch()
    process = subprocess.Popen([sys.executable, "-c", _TALKS, str(path)])
    try:
        deadline = time.monotonic() + 30
        while path.stat().st_size < 6_000 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert played(path).shape[1] > 48_000 / 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is always full here")
def test_a_full_disk_is_told_and_holds_up_nobody() -> None:
    told = threading.Event()
    tracks = TwoTracks(Path("/dev/full"), lambda _: told.set())
    deadline = time.monotonic() + 30
    while not told.wait(0.01) and time.monotonic() < deadline:
        tracks.add(TwoTracks.LEFT, tone(16_000, 0.02), 16_000)
    assert told.is_set()
    began = time.monotonic()
    for _ in range(2_000):
        tracks.add(TwoTracks.RIGHT, bytes(960), RATE)
    tracks.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "path",
    [
        "../{0}/{1}.ogg",
        "ana/../{0}/{1}.ogg",
        "%2e%2e/{0}/{1}.ogg",
        "ana/{0}/{1}.ogg/",
        "ana/{0}/{1}.ogg.exe",
        "ana/{0}/{1}.OGG",
        "ana/{0}/urn:uuid:{1}.ogg",
        "ana/{0}/{{{1}}}.ogg",
        "/{0}/{1}.ogg",
        "ana\\{0}\\{1}.ogg",
    ],
)
def test_no_odd_address_leads_to_a_recording(path: str) -> None:
    ids = (uuid7(), uuid7())
    plain = KeptFile.at("ana/{}/{}.ogg".format(*ids))
    assert plain is not None
    assert plain.is_sound
    assert KeptFile.referred_to(f"sonora-files/{path.format(*ids)}#call.ogg") is None


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


def asked(**fields: Any) -> tuple[Session, bool | None]:
    """What opening a conversation keeps of its sound, and whether the person agrees."""
    settings = Settings.model_construct(recording=fields.pop("kept", True), return_secs=0.0)
    request = OpeningRequest(None, "ana", recording=fields.pop("recording", True))
    opened = open_conversation(
        request, Found(**fields), settings=settings, transport="test", app_version="0"
    )
    (session,) = [each for each in opened.records if isinstance(each, Session)]
    return session, opened.consent.agreed


def test_only_with_the_setting_and_the_persons_word_is_it_kept() -> None:
    session, _ = asked()
    sound = KeptFile.referred_to(session.metrics["recording"]["file"])
    said = session.metrics["recording"]
    assert (said["consent"], said["by"]) == ("agreed", "page")
    assert said["at"] <= said["began_at"]
    assert sound is not None
    assert sound == sound_of("ana", session.conversation_id, session.id)
    assert (sound.id, sound.is_sound) == (session.id, True)
    session, agreed = asked(kept=False)
    assert (session.metrics, agreed) == ({}, True), "nothing is recorded, whatever they said"
    session, agreed = asked(recording=False)
    assert agreed is False
    refused = session.metrics["recording"]
    assert (refused["consent"], refused["by"], "file" in refused) == ("refused", "page", False)
    session, agreed = asked(recording=None)
    assert (session.metrics, agreed) == ({}, None), "then the bot asks"


@pytest.mark.parametrize(
    ("page", "said", "agreed", "by"),
    [
        (True, False, False, "voice"),  # Said to the bot after it: the page still sends its yes.
        (None, True, True, "voice"),
        (True, True, True, "voice"),
        (None, False, False, "voice"),
        (False, False, False, "voice"),
        (False, True, False, "page"),
        (True, None, True, "page"),
        (False, None, False, "page"),
        (None, None, None, "page"),
    ],
)
def test_what_was_said_holds_where_a_lost_call_goes_on(
    page: bool | None, said: bool | None, agreed: bool | None, by: Asker
) -> None:
    parts = tuple(uuid7() for _ in range(60))
    at = utc_now() - timedelta(minutes=5)
    state = {} if said is None else Consent(said, "voice", at, parts).state()
    assert all(len(text) <= STATE_CHARS for text in state.values())
    consent = consent_of(page, state)
    assert (consent.agreed, consent.by) == (agreed, by)
    assert (consent.at == at) is (by == "voice"), "when they said it, not when it was told again"
    assert consent.parts == (parts[-50:] if state else ()), "the newest can all be erased"


async def test_one_that_grows_is_left_alone_and_all_go_with_their_conversation(
    journal: Journal,
) -> None:
    now = utc_now()
    talk = Conversation(id=uuid7(), user_id="ana", created_at=now, updated_at=now)
    file = KeptFile.of("ana", talk.id, uuid7(), SOUND)
    await journal.write([talk])
    path = await journal.files.begin(file)
    await asyncio.to_thread(path.write_bytes, b"sound")
    folder = journal.files.folder
    assert (await folder.files(), await folder.files(whole=True)) == ((file,), ())
    await journal.files.finish(file)
    assert await folder.files(whole=True) == (file,)
    assert (await folder.age_secs(file) or 0) >= GROWING_SECS
    found = await journal.files.find(file)
    assert found is not None
    assert found.path == path

    # No message names it, and it stays all the same, however old, as long as the talk does.
    await asyncio.to_thread(os.utime, path, (0, 0))
    assert await remove_orphans(journal) == 0
    await journal.erasure.erase({talk.id}, since=None)
    assert await remove_orphans(journal) == 1

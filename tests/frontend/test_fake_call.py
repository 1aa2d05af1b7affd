"""The example's call without a bot, which a site's own tests play by hand: in Node."""

import json
import os
from pathlib import Path

import pytest

from simulators.clients import npm
from tests.frontend.conftest import bundled

pytestmark = pytest.mark.browser

EARLIER = [["assistant", "Hola, soy", "interrupted"], ["user", "¿Sigues?", "final"]]
SINCE = [["assistant", "Hola de", "interrupted"], ["user", "I want a table.", "final"]]


def test_a_call_is_played_by_hand(tmp_path: Path) -> None:
    script = bundled("fake.ts", tmp_path, "--platform=node")

    played = json.loads(npm.run([npm.program("node"), str(script)], tmp_path, env=os.environ))

    # What nobody heard of what was cut off is not there.
    assert played["told"] == [
        EARLIER,
        [*EARLIER, *SINCE],
        [*EARLIER, *SINCE, ["assistant", "Hasta pronto.", "final"]],
    ]
    assert (played["speaks"], played["muted"], played["hears"]) == (True, True, False)
    # The user changed to English.
    assert played["languages"] == [None, None, "es", "en", "en"]
    assert played["refused"] == "La conversación está terminando."
    assert played["phase"] == "ended"
    assert (played["agreed"], played["recorded"]) == (True, [True, False])
    assert played["asked"] == ["set_conversation_id", "set_recording", "user_text_message"]

"""The recogniser of this process: fetched and loaded behind the calls, and used by all of them."""

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sonora_app.errors import SettingsError
from sonora_app.local.preparation import Preparation, State, missing_extra
from sonora_app.settings import Settings
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from sonora_app.local.recognition import Recogniser


class Hearing(Preparation["Recogniser"]):
    """How far the recogniser of this process is. Until it is ready the rehearsal's serves."""

    def prepare(self, settings: Settings) -> threading.Thread | None:
        """Fetch and load the model on a thread, where the settings have speech recognised here.

        Returns:
            The thread, or None where nothing is to be done, or is being done already.
        """
        if not settings.hears_locally:
            return None
        return self.begin(
            lambda: self._make(settings),
            name="sonora-hearing",
            ready="What is said is recognised on this machine",
            instead="What is said is not recognised: the rehearsal's recogniser serves.",
            failed=lambda error: SettingsError(
                worded("The recogniser cannot be loaded ({reason}).", reason=error),
                hint=worded("Look whether SONORA_WHISPER_MODEL is right: uv run sonora doctor"),
            ),
        )

    def _make(self, settings: Settings) -> "Recogniser":
        if find_spec("faster_whisper") is None:
            raise missing_extra(
                worded("Recognising speech here needs the extra `local`, which is not installed."),
                "local",
            )
        folder = settings.whisper_folder or self.fetch(settings.whisper_name, settings)
        self.state = State.LOADING
        from sonora_app.local.recognition import Recogniser

        return Recogniser(folder)


hearing = Hearing()
"""The recogniser of this process."""

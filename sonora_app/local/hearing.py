"""The recogniser of this process: fetched and loaded behind the calls, and used by all of them."""

import threading
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from sonora_app.errors import SettingsError, SonoraError
from sonora_app.local.catalogue import find_model
from sonora_app.settings import Settings
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from sonora_app.local.recognition import Recogniser


class State(StrEnum):
    """How far the recogniser is."""

    UNUSED = "unused"
    FETCHING = "fetching"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass
class Hearing:
    """How far the recogniser of this process is.

    Attributes:
        state: How far it is. Until it is ready the rehearsal's recogniser serves.
        done: How much of the model is here, in bytes.
        size: How large it is, in bytes.
        problem: Why it failed.
        recogniser: The recogniser, once it is ready.
    """

    state: State = State.UNUSED
    done: int = 0
    size: int = 0
    problem: SonoraError | None = None
    recogniser: "Recogniser | None" = None

    def prepare(self, settings: Settings) -> threading.Thread | None:
        """Fetch and load the model on a thread, where the settings have speech recognised here.

        Returns:
            The thread, or None where nothing is to be done, or is being done already.
        """
        if not settings.hears_locally or self.state not in (State.UNUSED, State.FAILED):
            return None
        self.state = State.FETCHING
        thread = threading.Thread(
            target=self._prepare, args=(settings,), name="sonora-hearing", daemon=True
        )
        thread.start()
        return thread

    def _prepare(self, settings: Settings) -> None:
        try:
            folder = self._folder(settings)
            self.state = State.LOADING
            from sonora_app.local.recognition import Recogniser

            self.recogniser = Recogniser(folder)
        except SonoraError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # CTranslate2's are RuntimeError and ValueError
            self._fail(
                SettingsError(
                    worded("The recogniser cannot be loaded ({reason}).", reason=error),
                    hint=worded("Look whether SONORA_WHISPER_MODEL is right: sonora doctor"),
                )
            )
        else:
            self.state = State.READY
            logger.info("What is said is recognised on this machine")

    def _fail(self, error: SonoraError) -> None:
        self.problem, self.state = error, State.FAILED
        logger.warning(
            f"What is said is not recognised: the rehearsal's recogniser serves. {error}"
        )

    def _folder(self, settings: Settings) -> Path:
        if find_spec("faster_whisper") is None:
            raise SettingsError(
                worded("Recognising speech here needs the extra `local`, which is not installed."),
                hint=worded("Install it: uv sync --extra local"),
            )
        if settings.whisper_folder is not None:
            return settings.whisper_folder
        from sonora_app.local.fetching import fetch

        return fetch(
            find_model(settings.whisper_name),
            settings.models_path,
            mirror=settings.models_url,
            progress=self._reached,
        )

    def _reached(self, done: int, size: int) -> None:
        self.done, self.size = done, size


hearing = Hearing()
"""The recogniser of this process."""

"""Fetches and loads a model on a thread, behind the calls, and tells how far that is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from loguru import logger

from sonora_app.errors import SettingsError, SonoraError
from sonora_app.local.catalogue import find_model
from sonora_app.settings import Settings
from sonora_app.wording.translation import Worded, worded

P = TypeVar("P")

_TOLD_PERCENT = 10
"""How often the log tells how far a model has come."""


class State(StrEnum):
    """How far a part is."""

    UNUSED = "unused"
    FETCHING = "fetching"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass
class Preparation(Generic[P]):
    """How far a part of this process is, that needs a model.

    Parameters:
        state: How far it is. Until it is ready the rehearsal's part serves.
        done: How much of the model is here, in bytes.
        size: How large it is, in bytes.
        problem: Why it failed.
        part: The part, once it is ready.
    """

    state: State = State.UNUSED
    done: int = 0
    size: int = 0
    problem: SonoraError | None = None
    part: P | None = None
    _told: int = 0

    @property
    def percent(self) -> int:
        """How much of the model is here, in percent."""
        return int(100 * self.done / self.size) if self.size else 0

    def begin(
        self,
        make: Callable[[], P],
        *,
        name: str,
        ready: str,
        instead: str,
        failed: Callable[[Exception], SonoraError],
    ) -> threading.Thread | None:
        """Make the part on a thread.

        Args:
            make: Makes it; sets `state` to loading once the model is here.
            name: Of the thread.
            ready: What the log says once it is ready.
            instead: What the log says serves where that fails.
            failed: What to tell of an error that is not one of ours.

        Returns:
            The thread, or None where it is being made already, or is ready.
        """
        if self.state not in (State.UNUSED, State.FAILED):
            return None
        self.state = State.FETCHING

        def work() -> None:
            try:
                self.part = make()
            except Exception as error:  # noqa: BLE001  # libraries have errors of many kinds
                problem = error if isinstance(error, SonoraError) else failed(error)
                self.problem, self.state = problem, State.FAILED
                logger.warning(f"{instead} {problem}")
            else:
                self.state = State.READY
                logger.info(ready)

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def fetch(self, name: str, settings: Settings) -> Path:
        """Fetch a model, and log how far it has come. Blocks the thread.

        Raises:
            NotFoundError: There is no such model.
            FetchError: It cannot be fetched.
        """
        from sonora_app.local.fetching import fetch

        def reached(done: int, size: int) -> None:
            self.done, self.size = done, size
            step = self.percent // _TOLD_PERCENT
            if step > self._told and done < size:
                self._told = step
                logger.info(f"{name} is being fetched: {self.percent} % of {size / 1e6:.0f} MB")

        return fetch(
            find_model(name), settings.models_path, mirror=settings.models_url, progress=reached
        )


def missing_extra(what: Worded, extra: str) -> SettingsError:
    """The error where the packages of a part are not installed."""
    return SettingsError(what, hint=worded("Install it: uv sync --extra {extra}", extra=extra))

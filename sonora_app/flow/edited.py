"""Takes up the files of `flows/` anew once they were edited: for the next call, never within one.

Only the development runner does. Where the files have mistakes, nothing changes: calls that go on
keep the flow that they began with, and new ones are refused with the mistakes, so that nobody tries
out a flow that is not the one in the file.
"""

import threading
from collections.abc import Callable
from types import ModuleType

import yaml
from pipecat.flows import Flow, FlowConfig, FlowError

from sonora_app.errors import SettingsError
from sonora_app.flow.check import as_flow_error, check_flows
from sonora_app.flow.driver import FLOW_FILE, load_flow_config
from sonora_app.flow.lines import FLOWS_DIR, read_lines
from sonora_app.wording.translation import joined, worded

_State = tuple[tuple[str, int, int], ...]


class EditedFlow:
    """Follows the files of `flows/`."""

    def __init__(self) -> None:
        """Take the files as they are for those that are in use."""
        self._forget = {load_flow_config.cache_clear, read_lines.cache_clear}
        self._seen = _state()
        self._problem: SettingsError | None = None
        self._in_turn = threading.Lock()

    def forgets(self, *made_of_it: Callable[[], None]) -> None:
        """Have what was made of the files' content be forgotten, too, once they were edited."""
        self._forget.update(made_of_it)

    def take_up(self, handlers: ModuleType) -> bool:
        """See whether the files were edited, and use what they say from here on.

        It takes some hundredths of a millisecond where they were not.

        Args:
            handlers: What the flow's functions and actions do, by their names.

        Returns:
            Whether they were edited.

        Raises:
            SettingsError: They have mistakes. What they said before is in use.
        """
        with self._in_turn:
            state = _state()
            edited = state != self._seen
            if edited:
                self._seen, self._problem = state, _problem(handlers)
                if self._problem is None:
                    for forget in self._forget:
                        forget()
                    load_flow_config()
            if self._problem is not None:
                raise self._problem
            return edited


def _problem(handlers: ModuleType) -> SettingsError | None:
    try:
        check_flows()
        Flow(FlowConfig.from_file(FLOW_FILE), handlers=handlers)
    except SettingsError as error:
        return error
    except FlowError as error:
        # The handlers are those that the process imported, whatever their file says.
        mistaken = as_flow_error(error)
        again = worded("If the handlers were changed since the bot started, start it again.")
        return SettingsError(mistaken.message, hint=joined(" ", [mistaken.hint, again]))
    except (ValueError, OSError, yaml.YAMLError) as error:
        return as_flow_error(error)
    return None


def _state() -> _State:
    """What tells whether the files were written to."""
    found: list[tuple[str, int, int]] = []
    for path in sorted([*FLOWS_DIR.glob("*.yaml"), *(FLOWS_DIR / "lines").glob("*.yaml")]):
        try:
            stat = path.stat()
        except FileNotFoundError:
            # An editor replaces it just now.
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


edited_flow = EditedFlow()
"""The flow of this process."""

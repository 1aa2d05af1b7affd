"""Does the tools that are functions in Python: `function: module:name` in `flows/tools.yaml`.

A function gets the arguments by their names, and gives what the model is told. All that holds for
other tools holds for it: it is done at most once, the wait for it is bridged, its call is kept.
"""

import asyncio
import importlib
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from sonora_app.tools.tool import Outcome, OutcomeStatus, Tool, bounded

PYTHON = "python"
"""The source of the tools that are functions in Python."""

Function = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class PythonTool:
    """A tool of `flows/tools.yaml` that is a function."""

    tool: Tool
    function: Function


def function_named(name: str) -> Function:
    """The function that `module:name` names.

    Raises:
        ValueError: There is none, or it is not an `async def`. The message says which.
    """
    module, _, function = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name} cannot be imported: {error}") from None
    except Exception as error:  # noqa: BLE001  # whatever the module does when it is imported
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{name} cannot be imported: {told}") from None
    if not inspect.iscoroutinefunction(found):
        raise ValueError(f"{name} is no async function")
    return found


class PythonTools:
    """Does them.

    Args:
        tools: The tools.
    """

    def __init__(self, tools: Sequence[PythonTool]) -> None:
        """Know them by their names."""
        self._functions = {each.tool.name: each.function for each in tools}

    async def run(self, tool: Tool, arguments: Mapping[str, Any], *, key: str) -> Outcome:
        """Call the function. See `ToolRunner.run`."""
        del key
        began = time.monotonic()
        try:
            async with asyncio.timeout(tool.time_limit_secs):
                answer = await self._functions[tool.name](**arguments)
            status, text = OutcomeStatus.DONE, _shown(answer)
        except TimeoutError:
            limit = f"{tool.time_limit_secs:g}"
            status, text = OutcomeStatus.UNKNOWN, f"It was not done within {limit} seconds."
        except Exception as error:  # noqa: BLE001  # what it had done by then, nobody knows
            logger.error(f"The tool {tool.name} failed: {type(error).__name__}")
            status, text = OutcomeStatus.UNKNOWN, "It failed."
        took = time.monotonic() - began
        logger.info(f"The tool {tool.name} ended after {took:.2f} s: {status}")
        return Outcome(status, bounded(text, tool.max_chars), took)


def _shown(answer: object) -> str:
    """What the model is told of an answer: texts as they are, the rest as JSON."""
    return (
        answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
    )

"""The tools of a process, whatever their source, and who does each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sonora_app.tools.tool import Outcome, Tool, ToolRunner


class Toolbox:
    """Tools of one or more sources.

    Args:
        tools: The tools, each with a name of its own.
        runners: Who does them, by their source.
    """

    def __init__(self, tools: Iterable[Tool], runners: Mapping[str, ToolRunner]) -> None:
        """Put tools and runners together."""
        self._tools = {tool.name: tool for tool in tools}
        self._runners = dict(runners)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._tools)

    def joined(self, tools: Iterable[Tool], runners: Mapping[str, ToolRunner]) -> "Toolbox":
        """Another one, with these as well."""
        return Toolbox((*self.tools, *tools), {**self._runners, **runners})

    @property
    def tools(self) -> Sequence[Tool]:
        """All of them, in the order in which they were declared."""
        return tuple(self._tools.values())

    def tool(self, name: str) -> Tool | None:
        """The tool of this name, if there is one."""
        return self._tools.get(name)

    async def run(self, tool: Tool, arguments: Mapping[str, Any], *, key: str) -> Outcome:
        """Have a tool done, once. See `ToolRunner.run`."""
        return await self._runners[tool.source].run(tool, arguments, key=key)


NO_TOOLBOX = Toolbox((), {})
"""That of a bot that can do nothing besides talking."""

"""On which line of a YAML file something stands, and what is written there."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from sonora_app.wording.translation import Worded, worded


class Places:
    """The lines of one YAML file. It is read again when the first is asked for.

    Args:
        path: The file.
        name: What it is called.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Nothing is read yet."""
        self._path = path
        self._name = name
        self._top: yaml.Node | None = None

    def at(self, problem: Worded, *path: str | int) -> Worded:
        """A mistake with the line that it is on.

        Args:
            problem: The mistake.
            *path: The keys and numbers that lead to it. Those that are not there count for nothing.
        """
        line = self._line(path)
        if line is None:
            return problem
        return worded("{file}, line {line}: {problem}", file=self._name, line=line, problem=problem)

    def misread(self, *path: str | int) -> Iterator[tuple[str, str]]:
        """The keys of a mapping that are not what is written there, as `no`, which is `false`.

        Args:
            *path: The keys and numbers that lead to it. Where they do not, no key is told.

        Yields:
            A key as it is written, and as it is read.
        """
        node = self._tree()
        for part in path:
            found = _below(node, part)
            node = found[0] if found else None
        if not isinstance(node, yaml.MappingNode):
            return
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.style is None:
                written = str(key.value)
                value: object = yaml.safe_load(written)
                read = str(value).lower() if isinstance(value, bool) else str(value)
                if read != (written.lower() if isinstance(value, bool) else written):
                    yield written, read

    def _tree(self) -> yaml.Node | None:
        if self._top is None:
            try:
                self._top = yaml.compose(self._path.read_text("utf-8"))
            except (OSError, ValueError, yaml.YAMLError):
                return None
        return self._top

    def _line(self, path: tuple[str | int, ...]) -> int | None:
        node, line = self._tree(), None
        for part in path:
            found = _below(node, part)
            if found is None:
                break
            node, line = found
        return line


def _below(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    """What a key or a number leads to, and the line from 1 on where that begins."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value, value.start_mark.line + 1
    return None

"""Reads YAML in which no key may stand twice: YAML's own readers drop the first without a word."""

from typing import Any

import yaml


def read_once(text: str) -> Any:  # noqa: ANN401  # YAML
    """What a text of YAML holds.

    Raises:
        yaml.YAMLError: It is no YAML, or a key stands twice in it.
    """
    _look(yaml.compose(text, yaml.SafeLoader), set())
    return yaml.safe_load(text)


def _look(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    # An alias leads to a node that is there already, maybe to one that it lies in.
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys and key.value != "<<":
                    problem = f"{key.value} stands there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add(key.value)
            _look(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _look(each, seen)

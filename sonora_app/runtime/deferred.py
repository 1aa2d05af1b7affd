"""Puts off what the libraries import and no call uses, until somebody does.

A module that is put off is there, but empty; it is loaded when something in it is first asked for.
What is in the folder of a package is imported without that. `importlib.util.LazyLoader` is for
modules alone: Python asks a package where its folder is before it imports anything from there.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_UNUSED = ("openai.types.responses", "PIL.Image")
"""The types of OpenAI's other API, 250 modules with a pydantic model or more in each, and what
Pipecat needs for images."""


def defer_unused_imports() -> None:
    """Put off `_UNUSED`, where it is not imported yet. May be called again."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(_UNUSED))


class _Finder(MetaPathFinder):
    """Finds the modules that are put off.

    Args:
        names: Their whole names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python would find, with a loader that waits."""
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader)
        return spec


class _DeferringLoader(Loader):
    """Loads a module when something in it is asked for.

    Args:
        loader: Loads it.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        # The thread that loads asks for names as well, and does not wait for itself.
        self._lock = threading.RLock()
        self._begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """What Python makes by itself."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty."""

        def get(name: str) -> Any:  # noqa: ANN401  # whatever is in the module
            self._load(module)
            loaded = vars(module)
            if name in loaded:
                return loaded[name]
            if loaded["__getattr__"] is not get:
                return loaded["__getattr__"](name)
            missing = f"module {module.__name__!r} has no attribute {name!r}"
            raise AttributeError(missing, name=name, obj=module)

        # Python asks a module's own `__getattr__` for what it does not find there (PEP 562).
        vars(module)["__getattr__"] = get

    def _load(self, module: ModuleType) -> None:
        with self._lock:
            if self._begun:
                return
            self._begun = True
            try:
                self._loader.exec_module(module)
            except BaseException:
                self._begun = False
                raise

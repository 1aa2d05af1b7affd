"""What the tests of the front end's example share: a copy of it with its packages, and bundles."""

import os
import shutil
from pathlib import Path

import pytest

from simulators.clients import npm
from simulators.clients.bot_process import PROJECT

EXAMPLE = PROJECT / "examples" / "nextjs"
_HERE = Path(__file__).parent
_NOT_COPIED = shutil.ignore_patterns("node_modules", ".next", "*.tsbuildinfo")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, with its packages but for what only builds or serves it."""
    return copied_example(tmp_path)


def copied_example(folder: Path) -> Path:
    """Copy the example, with its packages, to `folder`; the copy is its own."""
    packages = npm.installed(EXAMPLE, "--omit=optional") / "node_modules"
    copy = shutil.copytree(EXAMPLE, folder / "example", ignore=_NOT_COPIED)
    (copy / "node_modules").symlink_to(packages)
    return copy


def bundled(entry: str, folder: Path, *options: str) -> Path:
    """A script of this folder, and what it imports of the example, as one.

    Args:
        entry: The name of a TypeScript file here, which is put beside the example's own.
        folder: Where to work.
        options: Further options of esbuild.
    """
    example = copied_example(folder)
    for script in _HERE.glob("*.ts"):
        shutil.copy(script, example)
    output = folder / "script.cjs"
    esbuild = npm.installed(_HERE / "node") / "node_modules" / "esbuild" / "bin" / "esbuild"
    command = [npm.program("node"), str(esbuild), entry, "--bundle", f"--outfile={output}"]
    npm.run([*command, "--log-level=warning", *options], example, env=os.environ)
    return output

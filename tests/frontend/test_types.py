"""The example compiles against the real packages, and the protocol's types fit its documents."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from simulators.clients import npm
from simulators.clients.bot_process import PROJECT

pytestmark = pytest.mark.browser

DOCUMENT = (PROJECT / "docs" / "protocol.md").read_text("utf-8")
EXAMPLES = re.findall(r"<!-- example: (\w+) -->\n```json\n(.*?)```", DOCUMENT, re.DOTALL)


def compile_example(example: Path) -> str:
    """What the compiler has to say; nothing when it is content."""
    compiler = example / "node_modules" / "typescript" / "bin" / "tsc"
    try:
        return npm.run([npm.program("node"), str(compiler), "--noEmit"], example, env=os.environ)
    except RuntimeError as error:
        return str(error)


def test_it_compiles_and_the_documents_messages_are_of_its_types(example: Path) -> None:
    """With the scripts of these tests, and what docs/protocol.md shows, and nothing else of it."""
    settings = json.loads((example / "tsconfig.json").read_text("utf-8"))["compilerOptions"]
    for script in Path(__file__).parent.glob("*.ts"):
        shutil.copy(script, example)
    names = sorted({name for name, _ in EXAMPLES})
    lines = [f"import type {{ {', '.join(names)} }} from './sonora/protocol';"]
    lines += [f"export const m{i}: {name} = {body};" for i, (name, body) in enumerate(EXAMPLES)]
    lines += ["// @ts-expect-error  # no field of this name", "m0.no_such_field;"]
    (example / "messages.ts").write_text("\n".join(lines), encoding="utf-8")

    assert settings["strict"]
    assert len(EXAMPLES) > 10
    assert compile_example(example) == ""


def test_an_error_code_without_a_remedy_does_not_compile(example: Path) -> None:
    protocol = example / "sonora" / "protocol.d.ts"
    text = protocol.read_text("utf-8")
    protocol.write_text(text.replace('  | "internal"', '  | "internal"\n  | "brand_new"'), "utf-8")

    assert "Property 'brand_new' is missing" in compile_example(example)

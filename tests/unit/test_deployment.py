"""What is deployed: the cloud's configuration, the image and what goes into it."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pipecatcloud.cli.config as pipecatcloud_config
import pytest
import yaml
from pipecatcloud._utils.build_utils import create_deterministic_tarball, get_exclusions
from pipecatcloud._utils.deploy_utils import DeployConfigParams, load_deploy_config_file

from sonora_app.settings import Settings

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
IN_THE_IMAGE = {"bot.py", "flows", "sonora_app", "requirements.lock"}
PLANTED = (
    ".env",
    ".env.local",
    "production.env",
    "cloud.pem",
    "flows/.env",
    "sonora_app/.env.production",
    "sonora_app/conversation/secret.key",
    "sonora_app/__pycache__/cli.cpython-312.pyc",
    ".sonora/journal.db",
    "sonora_app/.sonora/journal.db-wal",
    "recordings/talk.wav",
    ".venv/bin/python",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as someone deploys from it, with what must not go along."""
    root = tmp_path_factory.mktemp("deploy") / "sonora"
    skipped = shutil.ignore_patterns(".git", ".venv", "__pycache__", "node_modules", ".*_cache")
    shutil.copytree(PROJECT, root, ignore=skipped)
    for name in PLANTED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("must not leave this machine")
    return root


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> DeployConfigParams:
    """`pcc-deploy.toml` as Pipecat Cloud's own tool reads it."""
    monkeypatch.setattr(pipecatcloud_config, "deploy_config_path", str(PROJECT / "pcc-deploy.toml"))
    config = load_deploy_config_file()
    assert config is not None
    return config


def dockerfile() -> str:
    """The Dockerfile, with its continued lines joined and its comments left out."""
    text = (PROJECT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    return "\n".join(line for line in text.split("\n") if not line.startswith("#"))


def test_the_cloud_tool_takes_the_configuration(config: DeployConfigParams) -> None:
    assert config.agent_name
    assert config.image
    assert config.secret_set
    assert config.agent_profile
    assert (config.scaling.min_agents or 0) <= (config.scaling.max_agents or 0)


def test_the_cloud_cuts_no_call_before_the_bot_ends_it(config: DeployConfigParams) -> None:
    fields = Settings.model_fields
    longest = sum(
        fields[name].default * times
        for name, times in (
            ("max_call_secs", 1),
            ("closing_secs", 2),
            ("summary_secs", 1),
            ("drain_secs", 1),
        )
    )

    # 60 s is what a deployment waits for the conversation's id before a call begins.
    assert (config.max_session_duration or 0) > longest + 60


def test_the_image_takes_what_runs_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (\S+) \S+$", dockerfile(), re.MULTILINE)

    assert len(copied) == len(re.findall(r"^(?:COPY|ADD)\b", dockerfile(), re.MULTILINE))
    assert set(copied) == IN_THE_IMAGE
    assert all((PROJECT / name).exists() for name in copied)


def test_no_other_file_names_the_image_or_its_tag(config: DeployConfigParams) -> None:
    repository = str(config.image).rpartition(":")[0]
    listed = subprocess.run(
        ["git", "grep", "--fixed-strings", "--files-with-matches", repository],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    if listed.returncode > 1:
        pytest.skip("this tree is no repository")
    assert listed.stdout.split() == ["pcc-deploy.toml"]


@pytest.mark.parametrize("image", ["somebody/bot:2.5", "registry.test:5000/team/sonora:today"])
def test_the_image_is_built_under_the_name_that_is_deployed(tmp_path: Path, image: str) -> None:
    """Docker itself is not here: a program of its name notes what it is asked."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "image", tmp_path / "scripts")
    deployed = (PROJECT / "pcc-deploy.toml").read_text("utf-8")
    deployed = re.sub(r'^image = ".*"$', f'image = "{image}"', deployed, flags=re.MULTILINE)
    (tmp_path / "pcc-deploy.toml").write_text(deployed, "utf-8")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > "$ASKED"\n', "utf-8")
    docker.chmod(0o755)
    path = (
        f"{docker.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    subprocess.run(
        [tmp_path / "scripts" / "image", "--push"],
        env={**os.environ, "PATH": path, "ASKED": str(tmp_path / "asked")},
        check=True,
        timeout=30,
    )

    where, *asked = (tmp_path / "asked").read_text("utf-8").splitlines()
    assert where == str(tmp_path)
    assert asked == ["build", "--platform", "linux/arm64", "--tag", image, "--push", "."]


def test_the_image_stands_on_the_base_for_a_python_we_lock_for() -> None:
    base = re.search(r"^ARG BASE=dailyco/pipecat-base[:@](\S+)$", dockerfile(), re.MULTILINE)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    first, beyond = re.findall(r"3\.(\d+)", project["requires-python"])

    assert base is not None
    # Whatever the tag is (`latest`, a version, a digest): the Python that it names is one of ours.
    for minor in re.findall(r"-py3\.(\d+)", base[1]):
        assert int(first) <= int(minor) < int(beyond)
    assert re.search(r"^FROM \$\{BASE\}$", dockerfile(), re.MULTILINE)


def test_the_image_is_a_quiet_deployment_that_keeps_the_base_as_it_is() -> None:
    text = dockerfile()
    variables = dict(re.findall(r"\b([A-Z_]+)=(\S+)", text[text.index("ENV ") + 4 :]))

    assert variables == {
        "ENV": "production",
        "PIPECAT_LOG_LEVEL": "INFO",
        "LOGURU_DIAGNOSE": "NO",
        "SONORA_HANDOVER_SECS": variables["SONORA_HANDOVER_SECS"],
    }
    # The platform waits for a call that goes on when it stops an instance. So does the bot.
    defaults = {
        name: Settings.model_fields[name].default for name in ("max_call_secs", "closing_secs")
    }
    longest = defaults["max_call_secs"] + 2 * defaults["closing_secs"]
    assert float(variables["SONORA_HANDOVER_SECS"]) >= longest
    assert "--require-hashes" in text
    assert "uv sync" not in text, "it would take out what the base's server needs"
    assert not re.search(r"^(?:CMD|ENTRYPOINT|USER)\b", text, re.MULTILINE)
    assert not re.search(r"stun:|turn:|_KEY\b", text, re.IGNORECASE)


def test_a_cloud_build_sends_only_what_it_needs(checkout: Path) -> None:
    context = create_deterministic_tarball(str(checkout), get_exclusions(checkout))
    with tarfile.open(fileobj=io.BytesIO(context.tarball)) as tar:
        sent = set(tar.getnames())

    assert {name.split("/")[0] for name in sent} == IN_THE_IMAGE | {"Dockerfile"}
    assert sent.isdisjoint(PLANTED)
    assert "sonora_app/storage/journal/journal.py" in sent
    assert not [name for name in sent if name.startswith("sonora_app/console/")]


def test_docker_sends_only_what_it_needs(checkout: Path) -> None:
    sent = set(docker_context(checkout))

    assert {name.split("/")[0] for name in sent} == IN_THE_IMAGE | {"Dockerfile"}
    assert sent.isdisjoint(PLANTED)
    assert "sonora_app/storage/journal/journal.py" in sent
    assert not [name for name in sent if name.startswith("sonora_app/console/")]


def docker_context(root: Path) -> Iterator[str]:
    """The files that `.dockerignore` lets through, by Docker's rules (without `!`)."""
    lines = (root / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    assert not any(pattern.startswith("!") for pattern in patterns)
    # A pattern counts from the top, `*` stays within a name, and a folder takes its files along.
    translated = "|".join(
        re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        for pattern in patterns
    )
    ignored = re.compile(f"(?:{translated})(?:/.*)?")
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not ignored.fullmatch(name):
            yield name


def test_the_lock_pins_everything_by_hash_and_names_no_index() -> None:
    text = (PROJECT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    rows = [line for line in text.split("\n") if line and not line.lstrip().startswith("#")]
    pinned = {row.split("==")[0] for row in rows}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))

    assert all(re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", row) for row in rows)
    assert "://" not in text
    wanted = {re.split(r"[\[>=<~ ]", name)[0] for name in project["project"]["dependencies"]}
    assert wanted <= pinned
    assert pinned.isdisjoint({"espeakng-loader", "pytest", "pyright", "ruff", "hypothesis"})


def test_the_lock_is_what_the_project_asks_for() -> None:
    """Resolves the dependencies anew, from the index or from what uv has kept of it."""
    current = lock("--check", root=PROJECT)

    assert current.returncode == 0, current.stderr


def test_a_stale_lock_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "sonora"
    (copy / "scripts").mkdir(parents=True)
    (copy / "sonora_app").mkdir()
    for name in ("pyproject.toml", "README.md", "sonora_app/__init__.py", "scripts/lock"):
        shutil.copy(PROJECT / name, copy / name)
    text = (PROJECT / "requirements.lock").read_text("utf-8")
    (copy / "requirements.lock").write_text(re.sub(r"^rich==\S+", "rich==1.0", text, flags=re.M))
    stale = lock("--check", root=copy)

    assert stale.returncode == 1
    assert "rich==1.0" in stale.stderr


def lock(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run `scripts/lock` of the project at `root`."""
    return subprocess.run(
        [root / "scripts" / "lock", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_each_python_that_the_project_takes_has_its_tests_run() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    tested = workflow["jobs"]["unit"]["strategy"]["matrix"]["python-version"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    first, beyond = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))

    assert tested == [f"3.{minor}" for minor in range(first, beyond)]


@pytest.mark.parametrize("script", [".ci/run", "scripts/image", "scripts/lock", "scripts/test"])
def test_scripts_can_be_run(script: str) -> None:
    path = PROJECT / script

    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True, timeout=30)


def test_a_lock_of_an_earlier_date_is_made_anew_before_the_tests(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "test", tmp_path / "scripts")
    text = (
        '[project]\nname = "one"\nversion = "0"\nrequires-python = ">=3.11"\n'
        "[dependency-groups]\nspeech = []\n"
        '[tool.uv]\npackage = false\nexclude-newer = "{}T00:00:00Z"\n'
    )
    (tmp_path / "pyproject.toml").write_text(text.format("2025-01-01"), "utf-8")
    # It is not to install anything: what it looks for is there, by name.
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("postgres", "npm", "node", "chromium"):
        (programs / name).write_text("#!/bin/sh\n", "utf-8")
        (programs / name).chmod(0o755)
    (programs / "uv").symlink_to(shutil.which(os.environ.get("UV", "uv")) or "uv")
    # An environment of another project, which that of the tests is, would be warned of.
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = {**inherited, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    outputs: list[str] = []
    for date in ("2025-01-01", "2025-02-02", "2025-02-02"):
        (tmp_path / "pyproject.toml").write_text(text.format(date), "utf-8")
        done = subprocess.run(
            [tmp_path / "scripts" / "test", "--setup"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        outputs.append(done.stdout)

    assert ["locking anew" in output for output in outputs] == [False, True, False]
    assert 'exclude-newer = "2025-02-02' in (tmp_path / "uv.lock").read_text("utf-8")

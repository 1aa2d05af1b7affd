#!/usr/bin/env bash
# uv takes a lock for current when `exclude-newer` in pyproject.toml was moved to a later date.
#
# The guess that fails: `exclude-newer` is part of what a lock answers to (uv.lock even has it, under
# [options]). So `uv lock --check` and `uv sync --locked` fail when it was changed, and `uv lock`
# resolves anew. This holds for an earlier date, of which uv says "Resolving despite existing
# lockfile due to change of exclude newer timestamp". For a later date everything passes, and the old
# versions stay. Where uv.lock is not in git, two people with the same pyproject.toml have
# different packages, and each is told that theirs are up to date.
#
# uv 0.13.9 (idna 3.4 is of 2022, 3.10 of 2024). Output seen:
#   locked up to 2023: idna 3.4
#   moved to 2025: check passes, sync --locked passes, after uv lock idna 3.4
#   with --upgrade: idna 3.10
#   moved back to 2023: check fails
#
# What to do: compare the date in uv.lock with pyproject.toml's, and run `uv lock --upgrade`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export UV_PYTHON_DOWNLOADS=never
unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT UV_EXCLUDE_NEWER
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
uv() { "$work/venv/bin/uv" --quiet "$@" 2>/dev/null; }

project() {
  printf '%s\n' '[project]' 'name = "one"' 'version = "0"' 'requires-python = ">=3.11"' \
    'dependencies = ["idna"]' '[tool.uv]' "exclude-newer = \"$1-06-01T00:00:00Z\"" > pyproject.toml
}
idna() { awk '/^name = "idna"$/ { getline; gsub(/"/, ""); print $3 }' uv.lock; }
passes() { if "$@"; then echo passes; else echo fails; fi; }

look() {
  rm -rf "$work/project" && mkdir "$work/project" && cd "$work/project"
  project 2023
  uv lock
  echo "locked up to 2023: idna $(idna)"
  project 2025
  checked=$(passes uv lock --check)
  synced=$(passes uv sync --locked)
  uv lock
  echo "moved to 2025: check $checked, sync --locked $synced, after uv lock idna $(idna)"
  uv lock --upgrade
  echo "with --upgrade: idna $(idna)"
  project 2023
  echo "moved back to 2023: check $(passes uv lock --check)"
}

expected='locked up to 2023: idna 3.4
moved to 2025: check passes, sync --locked passes, after uv lock idna 3.4
with --upgrade: idna 3.10
moved back to 2023: check fails'
for run in 1 2; do
  seen=$(look)
  echo "$seen"
  [ "$seen" = "$expected" ]
done

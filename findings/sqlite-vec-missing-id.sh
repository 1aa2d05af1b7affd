#!/usr/bin/env bash
# sqlite-vec finds nothing at all where one of the ids that it may choose from is gone.
#
# The guess that fails: `embedding MATCH ? AND k = 3 AND id IN ('ana', 'bea', 'gone')` searches among
# those of the three that there are. So it is with any other table, and so it is in sqlite-vec itself
# where the key is an integer.
#
# What happens: where the key is a text, each id is looked up in a table beside the vectors. The first
# that is not found ends the search without an error: no row, whatever else is in the list, and in
# whatever order. It is enough that one note was deleted, or is not embedded yet, and a search among
# somebody's own notes says that there is nothing like it.
#
# sqlite-vec 0.1.9, SQLite 3.51.0 in apsw 3.51.0.0. Output seen:
#   text keys, all there: ['ana', 'bea']
#   text keys, one gone: []
#   text keys, one gone, named first: []
#   integer keys, one gone: [1, 2]
#
# What to do: use integer keys, or ask for the ids that there are beforehand (`SELECT id FROM notes WHERE
# id IN (...)`), in the same transaction.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'sqlite-vec==0.1.9' 'apsw==3.51.0.0'

cat > "$work/run.py" <<'PYTHON'
import json
import sys

import apsw
import sqlite_vec

VECTORS = ([1, 0], [0, 1], [0.7, 0.7])


def found(kind: str, ids: list, among: list) -> list:
    """The ids among these, the most alike first."""
    db = apsw.Connection(":memory:")
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    db.execute(f"CREATE VIRTUAL TABLE notes USING vec0(id {kind} PRIMARY KEY, embedding FLOAT[2])")
    for key, vector in zip(ids, VECTORS):
        db.execute("INSERT INTO notes VALUES (?, ?)", (key, json.dumps(vector)))
    marks = ", ".join("?" * len(among))
    rows = db.execute(
        f"SELECT id FROM notes WHERE embedding MATCH ? AND k = 3 AND id IN ({marks})",
        (json.dumps([1, 0]), *among),
    )
    return [key for (key,) in rows]


cases = {
    "text keys, all there": found("TEXT", ["ana", "bea", "eva"], ["ana", "bea"]),
    "text keys, one gone": found("TEXT", ["ana", "bea", "eva"], ["ana", "bea", "gone"]),
    "text keys, one gone, named first": found("TEXT", ["ana", "bea", "eva"], ["gone", "ana"]),
    "integer keys, one gone": found("INTEGER", [1, 2, 3], [1, 2, 99]),
}
for case, ids in cases.items():
    print(f"{case}: {ids}")
sys.exit([*cases.values()] != [["ana", "bea"], [], [], [1, 2]])
PYTHON
for run in 1 2; do "$work/venv/bin/python" "$work/run.py"; done

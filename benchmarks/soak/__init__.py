"""Soak: calls at random, with faults, for as long as you like, and what must hold all the while.

    uv run python -m benchmarks.soak --sessions 2 --minutes 60 --seed 7

A real bot process, with Pipecat's own service classes, talks over WebRTC to callers of ours.
Deepgram, OpenAI and Cartesia are the simulators of `simulators/vendors`; Supabase is its API server
behind the proxy of `tests/supabase`, or left out with `--journal-only`.

- `plan.py` says what a caller will do, from the seed; `caller.py` does it.
- `studio.py` is the vendors' side: it knows every sentence of every caller, and what is to go
  wrong with it. `ear.py` tells by the sound who said what. `weather.py` is what goes wrong for
  everybody at once.
- `run.py` goes round by round. After each, when nobody calls, `checks.py` holds what is kept
  against what was said, and `leftovers.py` looks for what the bot did not let go of.
- `report.py` writes what came of it.
"""

"""When the user's turn is over, and what is done before that is sure.

| module | |
|---|---|
| `models.py` | Silero and smart-turn, loaded once for all calls of a process |
| `pauses.py` | notices that the user pauses, before it counts as the end of their speech |
| `recogniser.py` | has Deepgram finalize where the user falls silent |
| `endings.py` | tells by the words whether more is to come; `endings/` has them, by language |
| `patience.py` | how long a silence is borne then |
| `answer.py` | has the model tell that a guessed answer is there |
| `stop.py` | guesses the end of a turn, has it answered, and ends it or withdraws the guess |

A turn goes like this. The user falls silent: Deepgram is asked to finalize, after `HUSH_SECS` if
the silence is deep, else as soon as it is a pause. After `PAUSE_SECS` that counts as a pause, and
smart-turn is asked whether the turn sounds complete. If it does, and the transcript does not break
off, the model is asked once that is there, on a copy of the context, and its answer is held back.
The turn ends when the silence has lasted as long as Silero's `stop_secs` and the answer has begun,
or `patience.SURE_SECS` without one; then the answer is let through. When the user goes on, the
answer is thrown away, and leaves nothing behind.

A turn that does not sound complete, or whose last word leaves the sentence open (“quisiera saber
si”), ends after a longer silence, and its answer is asked for only towards the end of that.
"""

"""Decides when the user's turn begins and is over, and has the answer made before that is certain.

| module | what it does |
|---|---|
| `detectors.py` | Silero (is there a voice?) and smart-turn (is the turn over?), loaded once |
| `pauses.py` | notices that the user pauses, sooner than Silero reports the end of speech |
| `start.py` | begins a turn, and tells one from what is only said, or heard, beside the bot's |
| `proposed_start.py` | the same where the recogniser finds the turns by itself (Flux) |
| `own_words.py` | leaves out what the bot has said itself, ahead of the user's words |
| `alike.py` | whether words are what the bot has said, heard badly |
| `over_bot.py` | what is said over the bot's speech, and whether its words take a turn |
| `waiting.py` | the one thing that the start of a turn waits for |
| `own_voice.py` | tells by sound whether a voice is the bot's own, out of a loudspeaker |
| `users_voice.py` | reports voices, but for that one |
| `bot_speech.py` | the bot's speech, which a sound of the user's holds back for a moment |
| `replies/` | short replies that take no turn, or answer yes or no |
| `endings/` | tells from the last words whether the sentence goes on |
| `expectations/` | tells from what the bot asked what comes, and whether all of it has |
| `patience.py` | how long a silence must last before the turn is over |
| `stop.py` | follows the turn, guesses its end, has it answered, and ends it |
| `so_far.py` | what is known of a turn that is not over |
| `guess.py` | what the model was asked before the turn was over |
| `tasks.py` | what goes on beside the frames |

`vendors/deepgram/finalize.py` asks Deepgram for the transcript in a pause, and
`vendors/openai/speculation.py` tells that the model has answered a guessed turn.

A turn goes like this:

1. The user falls silent. Deepgram is asked for the transcript: after `HUSH_SECS` of deep silence,
   otherwise when the silence counts as a pause.
2. After `PAUSE_SECS` the silence counts as a pause. Smart-turn judges whether the turn sounds
   complete.
3. If the turn sounds complete, and its last words do not leave the sentence open, the model is
   asked as soon as the transcript is there. The model gets a copy of the context, and its answer
   is held back.
4. The turn ends when the silence has lasted for Silero's `stop_secs` and the answer has begun. If
   no answer begins, the turn ends after `patience.SURE_SECS`. The answer is then let through.
5. If the user goes on instead, the answer is thrown away. Nothing of it is kept.

A turn that sounds incomplete, or whose last word leaves the sentence open (“quisiera saber si”),
ends after a longer silence. Its answer is asked for only near the end of that silence. So does a
turn of a few words where nothing was asked, but its answer is asked for at once. What only adds
a “please” to a whole answer takes no guess back.
"""

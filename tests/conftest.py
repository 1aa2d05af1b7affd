"""Before anything of ours is imported: the tests read English, on a machine of any language.

Without a key they rehearse, though the package that recognises speech is installed. They reckon
with one thread, as `bot.py` does, since others run beside them.
"""

import os

os.environ["LC_ALL"] = "C.UTF-8"
os.environ["SONORA_WHISPER_MODEL"] = "none"
os.environ["SONORA_TTS"] = "cartesia"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""Before anything of ours is imported: the tests read English, on a machine of any language."""

import os

os.environ["LC_ALL"] = "C.UTF-8"

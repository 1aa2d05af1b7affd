"""Which stored messages are parts of one turn of the user's: see `call/going_on.py`."""

CONTINUES = "continues"
"""In a message's metadata: the id of the message that it goes on with, as one turn."""

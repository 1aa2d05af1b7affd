"""Documents read: from a file of some kind to the blocks of text in it."""

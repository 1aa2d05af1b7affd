"""The wire to the page: the messages of the protocol, and RTVI, which carries them."""

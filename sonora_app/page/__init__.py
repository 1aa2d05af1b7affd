"""The messages between a page and the bot, and RTVI, which carries them."""

"""Stand-ins for the vendors, for conversations with no key and no internet."""

"""Stand-ins for the vendors, so that a conversation can be held with no key and no internet."""

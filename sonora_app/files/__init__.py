"""Pictures and documents that a person shows: read, made small, and kept."""

"""The journal: the SQLite database that every record is written to first."""

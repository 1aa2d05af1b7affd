"""Supabase: what the journal's outbox ships to, and conversations are read from."""

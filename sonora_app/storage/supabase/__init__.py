"""Supabase: the store that receives the journal's records, and that conversations are read from."""

"""Documents in Supabase: pushed there, and searched there."""

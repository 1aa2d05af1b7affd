"""Pictures and documents that people send: kept in the data folder, and in Supabase Storage."""

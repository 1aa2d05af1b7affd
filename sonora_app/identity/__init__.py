"""Who is calling: what a page claims, and the access tokens that prove it."""

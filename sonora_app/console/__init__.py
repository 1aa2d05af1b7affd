"""The console: the page that the development runner serves, and its API."""

"""The groups of the `sonora` command, one module each."""

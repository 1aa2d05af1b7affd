"""The `sonora` command, one module for each of its subcommands or groups."""

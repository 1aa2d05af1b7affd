"""The checks of `sonora doctor`."""

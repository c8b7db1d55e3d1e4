"""The run of `maintain`."""

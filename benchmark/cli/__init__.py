"""Read the command line."""

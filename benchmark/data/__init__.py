"""Data sets: found on disk or downloaded, prepared once, mapped from a cache."""

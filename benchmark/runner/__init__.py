"""Which runs are missing, when they are started, and again, and how far they are."""

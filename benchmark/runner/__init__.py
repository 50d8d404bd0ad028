"""Find which runs are missing, decide when they are started, and started again, and show how far they are."""

"""What is on disk of runs and studies: rows, run folders, study folders."""

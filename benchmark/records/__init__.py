"""Read and write what is on disk of runs and studies: rows, run folders, study folders."""

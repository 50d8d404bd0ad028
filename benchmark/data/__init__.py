"""Find data sets on disk or download them, prepare them once, and map them from a cache."""

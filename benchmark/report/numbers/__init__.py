"""Compute the tables and statistics of the report, from the records alone."""

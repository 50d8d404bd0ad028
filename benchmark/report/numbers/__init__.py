"""Tables and statistics of the report, from the records alone."""

"""Turn what a report says, as plain data, into HTML."""

"""The page: what it says as plain data, and how that becomes HTML."""

"""The networks that judge images, and their weights."""

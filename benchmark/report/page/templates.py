"""What the page is made of: one template, its style and its script."""

from __future__ import annotations

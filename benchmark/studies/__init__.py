"""Decide which runs a study has: presets, grids, study files."""

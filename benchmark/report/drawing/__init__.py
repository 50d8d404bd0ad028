"""Figures for papers, and how everything looks."""

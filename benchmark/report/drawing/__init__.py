"""Draw figures for papers; say how everything looks."""

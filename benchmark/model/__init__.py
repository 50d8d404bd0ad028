"""Say what a model is: its contract. Find, name, build, train and check models."""

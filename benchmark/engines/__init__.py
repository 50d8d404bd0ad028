"""Do runs somewhere: in processes of this machine, or on a Ray cluster."""

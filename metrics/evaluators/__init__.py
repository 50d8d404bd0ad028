"""Load the networks that judge images, and train those that are ours."""

"""Measure a generator: samplers, critics, measurements, and the networks that judge."""

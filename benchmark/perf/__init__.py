"""Measure what costs how much, here and now, beside other ways to do the same: ratios, with the goal beside each."""

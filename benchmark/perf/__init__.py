"""What costs how much, here and now, side by side in one run, as ratios with the goal beside each."""

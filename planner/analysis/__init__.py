"""What a plan depends on: what-if, sensitivity, sweeps, baselines, and why there is no plan."""

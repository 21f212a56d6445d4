"""From demand and market to a proven, checked solution."""

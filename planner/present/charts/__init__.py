"""Charts, from frames to Altair."""

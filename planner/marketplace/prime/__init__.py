"""Prime Intellect's API."""

"""Budget reports."""

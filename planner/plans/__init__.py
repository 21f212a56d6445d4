"""The plan: made, saved, loaded, compared, shown."""

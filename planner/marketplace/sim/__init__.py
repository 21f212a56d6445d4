"""A local marketplace that speaks the API, for rehearsals and tests."""

"""Many demands and markets out of one: what a grid asks for, and who works on it."""

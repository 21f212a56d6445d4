"""The marketplace: listing, creating, renaming and deleting; and its simulator."""

"""Why there is no plan: what is in conflict, and the cheapest ways out."""

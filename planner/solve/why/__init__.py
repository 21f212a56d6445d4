"""Why this plan: what else it could be, what each requirement costs, how far prices may move."""

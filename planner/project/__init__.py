"""A project's life: buying safely, status, retiring, deleting."""

"""A plain Django page that posts jobs from its own transaction: the example of calling a task from a view."""

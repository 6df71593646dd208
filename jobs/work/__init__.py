"""What the built-in tasks do. Plain functions: they know nothing of Celery, states or the ledger."""

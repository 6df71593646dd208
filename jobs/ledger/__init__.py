"""Where Celery is cut for the ledger, one cut a file: publish, claim and run, settle, the worker's parent, control."""

"""`make run`: one process that starts the whole station on this machine, tends it, and leaves nothing behind."""

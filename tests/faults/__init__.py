"""What breaks, one fault a test: the rows of docs/reliability.md."""

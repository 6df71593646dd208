"""The HTTP API: each endpoint parses, calls one verb, and says what happened."""

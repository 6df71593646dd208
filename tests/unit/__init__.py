"""Tests that call the verbs in this process, against a real database and a real Valkey."""

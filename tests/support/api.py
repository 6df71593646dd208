"""Calls to the API within the test's process, as the holder of a token."""

import json
from typing import Any

from django.test import Client

from jobs.api.tokens import create_token
from tests.support.people import make_groups


class ApiCaller:
    """A caller with a token of one scope; no scope: nobody."""

    def __init__(self, scope: str | None) -> None:
        make_groups()
        token = create_token(f"{scope} caller", scope) if scope else None
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """`body` is sent as JSON; bytes as they are; header names with underscores."""
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, text, content_type="application/json", headers={**self.headers, **named})


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The problem of a refusal, whose form is checked."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.content)
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == status
    return problem


def places(problem: dict[str, Any]) -> list[list[Any]]:
    """Where the faults lie."""
    return [fault["loc"] for fault in problem["errors"]]

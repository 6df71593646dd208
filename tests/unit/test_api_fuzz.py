"""Whatever is sent, the API answers with less than 500, and refuses with a problem."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.api import ApiCaller

pytestmark = pytest.mark.django_db

TEXT = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "default", "tests.plain_tasks.add", "a" * 300, "../x"])
NUMBER = st.integers() | st.floats(allow_nan=False) | st.sampled_from([10**400, 2**63, -(2**64)])
PLAIN = st.none() | st.booleans() | NUMBER | TEXT
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
FIELDS = (
    "args kwargs queue priority delay run_at expires unique_key tags task to subject body path operations terminate "
    "reason jobs"
).split()
BODIES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4) | JSON
PATHS = [
    "/tasks",
    "/tasks/email",
    "/tasks/process-image",
    "/tasks/tests.plain_tasks.echo",
    "/tasks/x/revoke",
    "/tasks/x/requeue",
    "/dead-letters/1/requeue",
    "/dead-letters/1/discard",
    "/queues/default/pause",
    "/queues/default/resume",
]
QUERIES = "state task queue tag since until cursor limit status error reason fingerprint wait".split()

every = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def api() -> ApiCaller:
    return ApiCaller("admin")


def answered(answer: Any) -> None:
    assert answer.status_code < 500, (answer.status_code, answer.content)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
    elif answer["Content-Type"].startswith("application/json"):
        json.loads(answer.content, parse_constant=pytest.fail)


@every
@given(path=st.sampled_from(PATHS), body=BODIES)
@example(path="/tasks/tests.plain_tasks.echo", body={"kwargs": {"": 1, "self": 2, "task_id": 3}})
@example(path="/tasks/tests.plain_tasks.echo", body={"args": [10**400, 1e308]})
@example(path="/tasks/tests.plain_tasks.echo", body={"run_at": "0001-01-01T00:00:00+14:00"})
@example(path="/tasks/tests.plain_tasks.echo", body={"args": [{"__type__": "datetime", "__value__": "x"}]})
def test_no_body_breaks_an_endpoint(api: ApiCaller, path: str, body: Any) -> None:
    answered(api.post(path, body))
    for item in api.get("/tasks", limit=1).json()["items"]:
        answered(api.get(f"/tasks/{item['task_id']}"))


@every
@given(
    path=st.sampled_from(["/tasks", "/tasks/x", "/dead-letters"]), query=st.dictionaries(st.sampled_from(QUERIES), TEXT)
)
def test_no_query_breaks_an_endpoint(api: ApiCaller, path: str, query: dict[str, str]) -> None:
    answered(api.get(path, **{name: value.encode("utf-8", "replace").decode() for name, value in query.items()}))

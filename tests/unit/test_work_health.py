"""Health: which addresses answer, and how long it takes."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.work import health
from tests.support.outside import Outside, Reply, outside


@pytest.fixture
def site(settings: Any) -> Iterator[Outside]:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with outside() as running:
        running.answer = lambda request: Reply(status=int(request.path.strip("/") or 200))
        yield running


def test_addresses_that_answer_are_healthy(site: Outside) -> None:
    found = health.check([site.url("/200"), site.url("/301")])
    assert found["healthy"] == 2
    assert [(check["url"], check["status"]) for check in found["checks"]] == [
        (site.url("/200"), 200),
        (site.url("/301"), 301),
    ]
    assert all(check["ms"] < 5000 for check in found["checks"])


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_address_that_answers_badly_is_named(site: Outside, status: int) -> None:
    with pytest.raises(health.Unhealthy, match=f"^{site.url(f'/{status}')}: {status}$"):
        health.check([site.url("/200"), site.url(f"/{status}")])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "http://nowhere.invalid/"])
def test_an_address_that_does_not_answer_is_named(url: str) -> None:
    with pytest.raises(health.Unhealthy, match=url):
        health.check([url])


def test_no_address_is_healthy() -> None:
    assert health.check([]) == {"healthy": 0, "checks": []}

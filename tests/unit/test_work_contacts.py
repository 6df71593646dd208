"""Contacts: rows from outside, added or renewed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from jobs.errors import TaskFailure
from jobs.work import addresses, contacts
from jobs.work.models import Contact
from tests.support.outside import Outside, Reply, outside

pytestmark = pytest.mark.django_db

ROWS = [{"id": 1, "name": "Ann", "email": "ann@example.com"}, {"id": "b2", "name": "Bo", "phone": "1"}]


@pytest.fixture
def crm() -> Iterator[Outside]:
    with outside() as running:
        running.answer = lambda request: Reply(json.dumps(ROWS).encode())
        yield running


def test_each_row_becomes_a_contact(crm: Outside) -> None:
    assert contacts.sync(crm.url("/people")) == {"synced": 2, "source": crm.url("/people")}
    ann, bo = Contact.objects.order_by("external_id")
    assert (ann.external_id, ann.name, ann.email) == ("1", "Ann", "ann@example.com")
    assert json.loads(bo.row) == ROWS[1]


def test_a_second_sync_renews_the_contacts_and_adds_none(crm: Outside) -> None:
    contacts.sync(crm.url())
    crm.answer = lambda request: Reply(json.dumps([{"id": 1, "name": "Anna"}]).encode())
    contacts.sync(crm.url())
    assert sorted(Contact.objects.values_list("name", flat=True)) == ["Anna", "Bo"]


def test_the_same_id_in_two_sources_is_two_contacts(crm: Outside) -> None:
    contacts.sync(crm.url("/a"))
    contacts.sync(crm.url("/b"))
    assert Contact.objects.count() == 4


def test_a_row_given_twice_is_one_contact_and_the_last_wins(crm: Outside) -> None:
    crm.answer = lambda request: Reply(json.dumps([{"id": 1, "name": "Ann"}, {"id": 1, "name": "Anna"}]).encode())
    assert contacts.sync(crm.url())["synced"] == 1
    assert Contact.objects.get().name == "Anna"


def test_texts_that_no_column_takes_are_cut(crm: Outside) -> None:
    crm.answer = lambda request: Reply(json.dumps([{"id": 1, "name": "A\0" + "n" * 400}]).encode())
    contacts.sync(crm.url())
    assert Contact.objects.get().name == "A" + "n" * 254


@pytest.mark.parametrize("wrapper", ["items", "results", "contacts"])
def test_a_list_may_stand_in_an_object(crm: Outside, wrapper: str) -> None:
    crm.answer = lambda request: Reply(json.dumps({"total": 2, wrapper: ROWS}).encode())
    assert contacts.sync(crm.url())["synced"] == 2


def test_an_empty_list_is_fine(crm: Outside) -> None:
    crm.answer = lambda request: Reply(b"[]")
    assert contacts.sync(crm.url())["synced"] == 0


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"5", b"[1, 2]", b'{"a": 1}', b'[{"name": "Ann"}]', b'[{"id": null}]', b'[{"id": {}}]']
)
def test_what_is_no_list_of_rows_with_ids_is_refused_and_nothing_is_kept(crm: Outside, body: bytes) -> None:
    crm.answer = lambda request: Reply(body)
    with pytest.raises(TaskFailure):
        contacts.sync(crm.url())
    assert not Contact.objects.exists()


def test_a_private_source_is_refused(crm: Outside, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with pytest.raises(addresses.AddressRefused):
        contacts.sync(crm.url())


def test_a_source_that_fails_is_worth_another_try(crm: Outside) -> None:
    crm.answer = lambda request: Reply(status=502)
    with pytest.raises(httpx.HTTPError):
        contacts.sync(crm.url())

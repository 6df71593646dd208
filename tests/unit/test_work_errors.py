"""What a task raises keeps its class, its facts and its sentence on the way through Celery."""

import pickle
from collections.abc import Iterator

import pytest
from celery.utils.serialization import find_pickleable_exception, get_pickleable_exception
from kombu.utils.json import dumps, loads

from jobs.errors import TaskFailure
from jobs.work import addresses, health, images, keys, mail, operations, outbound, payments, rows

EXAMPLES = [
    addresses.AddressRefused("crm.internal", ["10.0.0.2", "10.0.0.1"]),
    outbound.UrlRefused("ftp://x"),
    outbound.BodyTooLarge("http://x/", 10_000),
    outbound.RequestRefused("http://x/", 422, "no"),
    keys.PathRefused("../x", "is not there."),
    rows.RowsRefused("http://x/", "does not answer JSON"),
    images.PictureRefused("a.jpg", "is broken"),
    operations.OperationRefused("'sharpen'", "unknown"),
    mail.HeaderRefused("subject"),
    payments.AmountRefused("-1"),
    payments.OrderRefused("a\nb"),
    payments.AlreadyCharged("A-1", "5", "6"),
    payments.Declined("http://x/", "declined"),
    payments.OutcomeUnknown("http://x/"),
    health.Unhealthy([{"url": "http://x/", "status": 500, "ms": 3, "ok": False}]),
]


def raised_here() -> Iterator[type[BaseException]]:
    for module in (addresses, outbound, keys, rows, images, operations, mail, payments, health):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__:
                yield value


def test_every_error_of_the_work_has_an_example_here() -> None:
    assert {type(error) for error in EXAMPLES} == set(raised_here())


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_being_made_again_from_its_result(error: Exception) -> None:
    assert get_pickleable_exception(error) is error
    assert find_pickleable_exception(error) is not None
    for again in (pickle.loads(pickle.dumps(error)), type(error)(*loads(dumps(error.args)))):
        assert (type(again), str(again)) == (type(error), str(error))


def test_these_findings_are_worth_another_try_and_no_others() -> None:
    passing = {kind.__name__ for kind in raised_here() if not issubclass(kind, TaskFailure)}
    assert passing == {"Declined", "OutcomeUnknown", "RequestRefused", "Unhealthy"}

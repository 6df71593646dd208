"""Idempotency-Key: the same key and body from the same caller within a day gets the first answer again."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from jobs.api.problems import Problem
from jobs.models import Replay

KEPT = timedelta(hours=24)
LONGEST_KEY = 255


def once(request: HttpRequest, accept: Callable[[], HttpResponse]) -> HttpResponse:
    """The answer of `accept`, or the one that this Idempotency-Key had before.

    The key and what `accept` writes are one transaction: of two that race, the second waits for the first's answer.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return accept()
    _check(key)
    caller: Any = request.auth  # type: ignore[attr-defined]
    body_hash = _hash(request)
    with transaction.atomic():
        row = _reserve(caller.key, key, body_hash)
        if row is None:
            return _again(Replay.objects.get(caller=caller.key, key=key), body_hash)
        answer = accept()
        row.status, row.answer = answer.status_code, answer.content.decode()
        row.save(update_fields=["status", "answer"])
        return answer


def _reserve(caller: str, key: str, body_hash: str) -> Replay | None:
    Replay.objects.filter(caller=caller, key=key, created_at__lte=timezone.now() - KEPT).delete()
    try:
        with transaction.atomic():
            return Replay.objects.create(caller=caller, key=key, body_hash=body_hash)
    except IntegrityError:
        return None


def _again(first: Replay, body_hash: str) -> HttpResponse:
    if first.body_hash != body_hash:
        raise Problem(409, f"The Idempotency-Key {first.key!r} was sent before with another body.")
    return HttpResponse(first.answer, content_type="application/json", headers={"Idempotent-Replay": "true"})


def _check(key: str) -> None:
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        fault = {"loc": ["header", "Idempotency-Key"], "msg": f"1 to {LONGEST_KEY} printable characters"}
        raise Problem(422, "The Idempotency-Key can't be used.", [fault])


def _hash(request: HttpRequest) -> str:
    """Of the address and the body's meaning: white space and the order of keys don't count."""
    body = json.loads(request.body) if request.body else None
    return hashlib.sha256(json.dumps([request.path, body], sort_keys=True).encode()).hexdigest()

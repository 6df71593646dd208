"""Keys to the API: made once, shown once, kept as a hash."""

import hashlib
import secrets

from django.db import transaction

from jobs import activity
from jobs.models import Token


def create_token(name: str, scope: str, *, by: str = "") -> str:
    """A new token of this scope (view, operate or admin), in clear; raises ValueError when the name is taken."""
    if scope not in Token.Scope.values:
        raise ValueError(f"Unknown scope {scope!r}. Scopes: {', '.join(Token.Scope.values)}.")
    if Token.objects.filter(name=name).exists():
        raise ValueError(f"A token named {name!r} exists already. Choose another name.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Token.objects.create(name=name, scope=scope, hash=hashed(token))
        activity.record(by, "create", "token", name, scope=scope)
    return token


def find_token(token: str) -> Token | None:
    """The row of a token given in clear."""
    return Token.objects.filter(hash=hashed(token)).first()


def hashed(token: str) -> str:
    """What is kept of a token: it has 256 random bits, so a plain SHA-256 can't be searched."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()

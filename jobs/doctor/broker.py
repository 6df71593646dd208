"""Redis: whether it answers, keeps what it is told, and has room."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings

from jobs import broker, safety
from jobs.conf import conf
from jobs.doctor.finding import About, Finding

ABOUT = About("broker")
#: Shares of maxmemory and maxclients.
MEMORY_WARNING, MEMORY_ERROR, CLIENTS_WARNING = 0.70, 0.95, 0.80
#: The first that knows LPOS, by which the clock finds its canaries.
LEAST = (6, 0, 6)


def examine() -> Iterator[Finding]:
    try:
        info = gather()
    except redis.ResponseError as error:
        yield ABOUT.warning("unknown", f"Redis refuses INFO ({error}).", "Allow it INFO: it tells whether it evicts.")
    except (redis.RedisError, OSError) as error:
        yield ABOUT.error(
            "unreachable",
            f"Redis does not answer at {address()} ({error}); jobs are accepted and wait.",
            "Start it, or mend REDIS_URL.",
        )
    except ValueError:  # what it says may show a part of the password
        yield ABOUT.error(
            "url", "REDIS_URL can't be read.", "Write special characters of its password as %XX: # is %23, / is %2F."
        )
    else:
        yield from findings(info)


def gather() -> dict[str, Any]:
    """INFO, every section. Raises redis.RedisError."""
    return dict(broker.client().info())


def address() -> str:
    """Where Redis should be, without its password."""
    url = urlsplit(settings.REDIS_URL)
    return f"{url.scheme}://{url.hostname or ''}{f':{url.port}' if url.port else ''}{url.path}"


def findings(info: Mapping[str, Any]) -> Iterator[Finding]:
    found = [*_version(info), *_eviction(info), *_room(info), *_persistence(info), *_role(info)]
    yield from found or [ABOUT.fine(_summary(info))]


def _version(info: Mapping[str, Any]) -> Iterator[Finding]:
    told = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in told.split(".") if part.isdecimal())
    if numbers and numbers < LEAST:
        says = f"Redis {told} has no LPOS: the clock can't look for lost hints, and takes it for a Redis that is away."
        yield ABOUT.error("version", says, f"Update it to {'.'.join(map(str, LEAST))} or later.")


def _eviction(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy = safety.eviction_policy(info)
    if safety.evicts(policy):
        then = "start all the same, by JOBS_ALLOW_UNSAFE_BROKER" if conf().allow_unsafe_broker else "refuse to start"
        yield ABOUT.error("evicts", str(safety.EvictingBroker(policy)), f"Workers and beats {then}.")
    elif not policy:
        yield ABOUT.warning("unknown", "Redis does not tell its maxmemory-policy.", "See to it that it is noeviction.")
    elif policy != "noeviction":
        yield ABOUT.info(
            "policy", f"maxmemory-policy is {policy}: no key of the station has a time to live, so none goes."
        )


def _room(info: Mapping[str, Any]) -> Iterator[Finding]:
    share = _share(info, "used_memory", "maxmemory")
    if share > MEMORY_WARNING:
        say = ABOUT.error if share > MEMORY_ERROR else ABOUT.warning
        yield say(
            "memory",
            f"Redis uses {share:.0%} of its maxmemory; full, it takes no hint, and jobs wait in the table.",
            "Raise maxmemory, or find what else fills it.",
        )
    clients = _share(info, "connected_clients", "maxclients")
    if clients > CLIENTS_WARNING:
        yield ABOUT.warning("clients", f"Redis has {clients:.0%} of its maxclients.", "Raise maxclients.")


def _persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        yield ABOUT.warning(
            "persistence",
            "Redis keeps no append-only file: after a restart every waiting job is rung again from the table.",
            "Set appendonly yes to spare that; nothing is lost without it.",
        )
    failed = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if info.get(name, "ok") != "ok"]
    if failed:
        yield ABOUT.error(
            "saving",
            f"Redis could not save ({', '.join(failed)}); it may refuse every write.",
            "Give its disk room, and read its log.",
        )


def _role(info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("role", "master") != "master":
        yield ABOUT.error("replica", "This Redis is a replica and takes no hint.", "Let REDIS_URL name the primary.")


def _share(info: Mapping[str, Any], used: str, most: str) -> float:
    """0 where there is no limit."""
    limit = float(info.get(most) or 0)
    return float(info.get(used) or 0) / limit if limit else 0.0


def _summary(info: Mapping[str, Any]) -> str:
    name = "Valkey" if info.get("valkey_version") else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    limit = info.get("maxmemory_human") if info.get("maxmemory") else "no limit"
    return f"{name} {version} answers at {address()}: noeviction, {info.get('used_memory_human', '?')} used of {limit}."

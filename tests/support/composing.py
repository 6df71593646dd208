"""docker-compose.yml and the Dockerfile as facts: what each service would run, with which environment."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.processes import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
#: Those that run our image.
SERVICES: dict[str, dict[str, Any]] = {
    name: service for name, service in COMPOSE["services"].items() if service.get("image") == "stationmaster"
}
WORKERS = [name for name in SERVICES if name.startswith("worker-")]


@dataclass(frozen=True)
class Command:
    """A worker's command line, taken apart."""

    queue: str
    concurrency: int
    node: str

    @classmethod
    def of(cls, service: str) -> "Command":
        words = shlex.split(SERVICES[service]["command"])
        return cls(*(convert(words[words.index(option) + 1]) for option, convert in OPTIONS.items()))


OPTIONS: dict[str, Any] = {"-Q": str, "-c": int, "-n": str}


def command(service: str) -> list[str]:
    """The words that compose would start."""
    return shlex.split(SERVICES[service]["command"])


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """The service's variables, `${NAME:-default}` filled in from `given`, programs found as in the image.

    The servers are those of `given`: their names in the file exist only inside compose.
    """
    filled = {name: _filled(str(value), given) for name, value in SERVICES[service]["environment"].items()}
    servers = {name: given[name] for name in ("DATABASE_URL", "REDIS_URL")}
    return {**filled, **servers, "DEBUG": "0", "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"}


def build_step() -> str:
    """The command by which the image collects its static files."""
    found = re.search(r"^RUN (.* manage\.py collectstatic .*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found, "the Dockerfile collects no static files"
    return found.group(1)


def seconds(period: str) -> float:
    """`30s` as 30."""
    found = re.fullmatch(r"(\d+)s", period)
    assert found, period
    return float(found.group(1))


def _filled(text: str, given: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda match: given.get(match.group(1), match.group(2)), text)

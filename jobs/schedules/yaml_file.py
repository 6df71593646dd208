"""A YAML file of names and what stands below each, read strictly."""

from pathlib import Path
from typing import Any

import yaml

from jobs.errors import JobError


class FileRefused(JobError):
    """A file that holds no schedules at all."""

    def __init__(self, path: Path, fault: str) -> None:
        self.path = path
        super().__init__(f"{path}: {fault}")


def read(path: Path) -> dict[Any, Any]:
    """The mapping in the file. Raises FileRefused."""
    try:
        found = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(path, f"It can't be read ({error}). Name a YAML file.") from error
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise FileRefused(path, f'It is no YAML: {said}. Quote what begins with a star: cron: "* * * * *".') from error
    if not isinstance(found, dict) or not found:
        raise FileRefused(path, "It declares no schedules. Write names, and below each its task and timing.")
    return found


class _Loader(yaml.SafeLoader):
    """A key that is written twice is a fault: YAML would take the last one, and say nothing."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is written twice", key.start_mark)
            seen.add((key.tag, key.value))
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)

"""The API as a whole: its routers, its refusals, and the OpenAPI document with each task's arguments."""

import re
from typing import Any

from ninja import NinjaAPI
from pydantic import TypeAdapter

from jobs.api import health, metrics, queues, schedules, tasks
from jobs.api.front import JsonParser
from jobs.api.problems import answer_problems
from jobs.api.schemas import ProblemOut
from jobs.registry import registered_tasks
from jobs.signatures import signature_of

ABOUT = """\
Post jobs, follow them, stop them and run them again. Send `Authorization: Bearer TOKEN`; a token's scope is *view*,
*operate* or *admin*. Refusals are `application/problem+json`. An `Idempotency-Key` makes any POST that enqueues safe
to repeat: the same key and body answer 200 with the first answer and `Idempotent-Replay: true`.
"""
PROBLEM = {"$ref": "#/components/schemas/ProblemOut"}
GENERIC_POST = "/tasks/{name_or_id}"


class StationApi(NinjaAPI):
    """A NinjaAPI whose document tells what each registered task accepts."""

    def get_openapi_schema(self, **kwargs: Any) -> Any:
        document: Any = super().get_openapi_schema(**kwargs)
        schemas = document["components"]["schemas"]
        schemas["ProblemOut"] = TypeAdapter(ProblemOut).json_schema(
            ref_template="#/components/schemas/ProblemOut/$defs/{model}"
        )
        arguments = {name: _arguments(name) for name in task_names()}
        schemas.update({_component(name): schema for name, schema in arguments.items()})
        for path in document["paths"].values():
            for operation in path.values():
                _add_refusals(operation)
        _describe_tasks(document["paths"][GENERIC_POST]["post"], arguments)
        return document


def task_names() -> list[str]:
    """The tasks that a caller may post: Celery's own plumbing is left out."""
    return sorted(name for name in registered_tasks() if not name.startswith("celery."))


def _arguments(name: str) -> dict[str, Any]:
    schema = signature_of(registered_tasks()[name]).schema(f"#/components/schemas/{_component(name)}/$defs/{{model}}")
    return {"title": f"Arguments of {name}", **schema}


def _component(task: str) -> str:
    """A legal component name, different for different tasks."""
    return "arguments." + re.sub(r"[^A-Za-z0-9._-]", lambda m: f"_{ord(m[0]):x}_", task)


def _describe_tasks(operation: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Each task as an example to choose from, and its schema in the text."""
    body = operation["requestBody"]["content"]["application/json"]
    body["examples"] = {name: {"value": {"kwargs": _example(schema)}} for name, schema in arguments.items()}
    listed = "\n".join(
        f"- `{name}({_spelled(schema)})`: schema `{_component(name)}`" for name, schema in arguments.items()
    )
    operation["description"] = f"`name_or_id` is the name of a task. What each accepts as `kwargs`:\n\n{listed}"


def _spelled(schema: dict[str, Any]) -> str:
    required = set(schema["required"])
    return ", ".join(name if name in required else f"{name}?" for name in schema["properties"])


def _example(schema: dict[str, Any]) -> dict[str, Any]:
    samples = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return {name: samples.get(schema["properties"][name].get("type", ""), "value") for name in schema["required"]}


def _add_refusals(operation: dict[str, Any]) -> None:
    answer = {"description": "Refused", "content": {"application/problem+json": {"schema": PROBLEM}}}
    operation["responses"] = {**operation["responses"], "4XX": answer, "503": answer}


api = StationApi(
    title="Stationmaster",
    version="1",
    description=ABOUT,
    openapi_url="/openapi.json",
    docs_url="/docs",
    parser=JsonParser(),
    urls_namespace="api",
)
answer_problems(api)
api.add_router("/tasks", tasks.router)
api.add_router("/queues", queues.router)
api.add_router("/schedules", schedules.router)
api.add_router("", health.router)
api.add_router("", metrics.router)

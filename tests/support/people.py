"""What a person does, as functions that a station's console can call."""

from jobs import operations


def requeue(*ids: str) -> list[str]:
    """A person requeues; the ids that were."""
    return list(operations.requeue(ids, by="tester", reason="mended"))


def pause(queue: str) -> None:
    operations.pause(queue, by="tester", reason="a test")


def resume(queue: str) -> None:
    operations.resume(queue, by="tester")


def purge(queue: str) -> int:
    return operations.purge(queue, by="tester", reason="a test")

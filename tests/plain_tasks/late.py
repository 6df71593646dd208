"""A task that older workers don't know yet."""

from celery import shared_task

from tests.plain_tasks import write


@shared_task
def brand_new(word: str) -> str:
    write(word)
    return word

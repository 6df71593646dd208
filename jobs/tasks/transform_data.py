"""transform_data: the second step of fetch_data, transform_data, save_to_db."""

from celery import shared_task

from jobs.work import pipeline


@shared_task(name="transform_data")
def transform_data(key: str) -> str:
    """Cleans the rows that fetch_data stored; returns the key of the new file, for save_to_db."""
    return pipeline.transform(key)

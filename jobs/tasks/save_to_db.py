"""save_to_db: the last step of fetch_data, transform_data, save_to_db."""

from celery import shared_task

from jobs.work import pipeline


@shared_task(name="save_to_db")
def save_to_db(key: str) -> dict[str, int]:
    """Adds or renews a record for each row of the file; returns how many were fetched, dropped and saved."""
    return pipeline.save(key)

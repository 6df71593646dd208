"""A task that leaves a process of its own behind, as careless programs do."""

import subprocess

from celery import shared_task


@shared_task
def detach() -> int:
    """Starts a process that leaves the session, forgets its environment and outlives its parent; returns its pid."""
    script = "sleep 1000 >/dev/null 2>&1 </dev/null & echo $!"
    done = subprocess.run(
        ["setsid", "env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout)

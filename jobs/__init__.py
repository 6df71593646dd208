"""The life of a job: enqueue, ring, claim, settle, and the upkeep between."""

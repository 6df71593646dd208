"""Posting by name: all of the posts, or none."""

import pytest
from django.db import transaction

from jobs.errors import ArgumentsRefused, ArgumentsTooLarge, UnknownQueue, UnknownTask
from jobs.models import Job
from jobs.posting import Post, PostsRefused, post, task_named

pytestmark = pytest.mark.django_db

ADD = "tests.plain_tasks.add"


def refusals(*posts: Post) -> list[tuple[int, type]]:
    with pytest.raises(PostsRefused) as refused:
        post(posts)
    assert not Job.objects.exists()
    return [(index, type(error)) for index, error in refused.value.refusals]


def test_posts_become_jobs_in_their_order() -> None:
    posted = post([Post(ADD, [n, n]) for n in range(3)])
    assert [p.task_id for p in posted] == list(Job.objects.order_by("created_at", "id").values_list("id", flat=True))
    assert not any(p.replayed for p in posted)


def test_every_fault_is_told_and_nothing_is_accepted() -> None:
    good = Post(ADD, [1, 2])
    assert refusals(
        good,
        Post("no.such"),
        Post(ADD, [1]),
        Post(ADD, [1, 2], queue="nowhere"),
        Post("tests.plain_tasks.echo", ["x" * 70_000]),
    ) == [(1, UnknownTask), (2, ArgumentsRefused), (3, UnknownQueue), (4, ArgumentsTooLarge)]


def test_half_a_surrogate_pair_is_refused_wherever_it_stands() -> None:
    assert refusals(Post("tests.plain_tasks.echo", kwargs={"\ud800": 1})) == [(0, ArgumentsRefused)]


def test_a_task_is_found_by_the_last_part_of_its_name_if_only_one_has_it() -> None:
    assert task_named("wobbly").name == "tests.plain_tasks.wobbly"
    with pytest.raises(UnknownTask):
        task_named("plain_tasks.wobbly")


@pytest.mark.parametrize("name", ["celery.map", "celery.backend_cleanup", "chord"])
def test_tasks_of_celery_itself_cannot_be_posted(name: str) -> None:
    assert refusals(Post(name)) == [(0, UnknownTask)]


def test_a_live_job_with_the_unique_key_is_told_as_replayed() -> None:
    first, again = (post([Post(ADD, [1, 2], unique_key="k")])[0] for _ in range(2))
    assert (first.replayed, again.replayed, again.task_id) == (False, True, first.task_id)


def test_a_caller_who_rolls_back_has_posted_nothing() -> None:
    with transaction.atomic():
        post([Post(ADD, [1, 2])])
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_all_posts_are_one_insert(django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(4):
        post([Post(ADD, [n, n]) for n in range(400)])

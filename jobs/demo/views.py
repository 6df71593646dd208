"""Two forms that post jobs with `.delay()`, and a page that follows a job to its end.

A job posted in a transaction belongs to it: it runs after the commit, and a rollback leaves nothing behind.
"""

import mimetypes

from celery.result import AsyncResult
from django import forms
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs.demo.forms import EmailForm, PictureForm
from jobs.messages import loads
from jobs.models import Job
from jobs.states import ENDED, State
from jobs.tasks.process_image import process_image
from jobs.tasks.send_email import send_email

FOLLOWED = (send_email.name, process_image.name)


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The two forms."""
    return _forms(request, EmailForm(prefix="email"), PictureForm(prefix="picture"))


@require_POST
def send(request: HttpRequest) -> HttpResponse:
    """Posts a job that sends the e-mail."""
    form = EmailForm(request.POST, prefix="email")
    if not form.is_valid():
        return _forms(request, form, PictureForm(prefix="picture"))
    with transaction.atomic():
        job = send_email.delay(**form.cleaned_data)
    return redirect("demo:job", job.id)


@require_POST
def process(request: HttpRequest) -> HttpResponse:
    """Stores the picture, and posts a job that works on it: the job gets the key, not the data."""
    form = PictureForm(request.POST, request.FILES, prefix="picture")
    if not form.is_valid():
        return _forms(request, EmailForm(prefix="email"), form)
    key = form.store()
    try:
        with transaction.atomic():
            job = process_image.delay(key, form.cleaned_data["operations"])
    except Exception:
        default_storage.delete(key)
        raise
    return redirect("demo:job", job.id)


@require_GET
def follow(request: HttpRequest, job_id: str) -> HttpResponse:
    """Where the job is now; `?part` gives only the part of the page that changes."""
    job = _job(job_id)
    context = {
        "job": job,
        "ended": job.state in ENDED,
        "progress": loads(job.progress) if job.progress else None,
        "result": _result(job),
    }
    return render(request, "demo/job_part.html" if "part" in request.GET else "demo/job.html", context)


@require_GET
def picture(request: HttpRequest, job_id: str) -> FileResponse:
    """The picture that the job made."""
    result = _result(_job(job_id))
    key = result.get("output") if isinstance(result, dict) else None
    if not key or not default_storage.exists(key):
        raise Http404("This job made no picture, or it is gone.")
    return FileResponse(default_storage.open(key), content_type=mimetypes.guess_type(key)[0])


def _forms(request: HttpRequest, email: forms.Form, picture: forms.Form) -> HttpResponse:
    status = 422 if email.is_bound or picture.is_bound else 200
    return render(request, "demo/index.html", {"email": email, "picture": picture}, status=status)


def _job(job_id: str) -> Job:
    """The job, if it is one that this page posts."""
    return get_object_or_404(Job, pk=job_id, task__in=FOLLOWED)


def _result(job: Job) -> object:
    return AsyncResult(job.pk).result if job.state == State.SUCCEEDED else None

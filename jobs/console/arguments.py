"""Arguments on the console: shown exactly, without secrets, and changed before a requeue."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import current_app
from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.console.acting import ActingAdmin, WhyForm, who
from jobs.console.argument_fields import read_json
from jobs.console.drawing import verbatim
from jobs.errors import ArgumentsRefused, JobError
from jobs.messages import arguments, dumps, loads, readable
from jobs.redaction import MASK, redacted, redacted_text, redacted_value, secrets_of


def task_named(name: str) -> Any | None:
    """The registered task, or None when this process does not know it."""
    current_app.loader.import_default_modules()
    return current_app.tasks.get(name)


def shown_arguments(request: HttpRequest, task: str, body: str) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) as this person may see them."""
    args, kwargs = arguments(body)
    return (args, kwargs) if sees_all(request) else redacted(task_named(task), args, kwargs)


def shown_part(request: HttpRequest, task: str, body: str, part: int) -> SafeString | str:
    """The arguments by position (0) or by name (1), drawn as this person may see them."""
    return verbatim(pretty(shown_arguments(request, task, body)[part])) if readable(body) else "Undecodable"


def shown_text(request: HttpRequest, text: str, task: str, body: str) -> str:
    """An error or a traceback as this person may see it."""
    if sees_all(request):
        return text
    return redacted_text(text, task_named(task), *arguments(body)) if readable(body) else _unless_secret(task, text)


def shown_value(request: HttpRequest, value: Any, task: str, body: str) -> Any:
    """A result as this person may see it."""
    if sees_all(request):
        return value
    return redacted_value(value, task_named(task), *arguments(body)) if readable(body) else _unless_secret(task, value)


def refuse_undecodable(noun: str, bodies: Iterable[tuple[Any, str]]) -> None:
    """Raises Undecodable for the first of the (key, body)s that can't run again."""
    for key, body in bodies:
        if not readable(body):
            raise Undecodable(noun, key)


def pretty(value: Any) -> str:
    """JSON for reading, one item a line when it is long; NaN, dates and decimals as the message holds them."""
    plain = json.loads(dumps(value))
    text = json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= 80 else json.dumps(plain, ensure_ascii=False, indent=2)


class JsonField(forms.CharField):
    """JSON of one kind; what was typed stays as typed."""

    def __init__(self, kind: type, **more: Any) -> None:
        self.kind = kind
        super().__init__(widget=forms.Textarea(attrs={"rows": 5, "cols": 80, "spellcheck": "false"}), **more)

    def clean(self, value: Any) -> Any:
        return read_json(super().clean(value), self.kind, loads)


class ArgumentsForm(forms.Form):
    """The whole arguments of a requeue."""

    args = JsonField(list, label="Positional arguments", help_text="A JSON list.")
    kwargs = JsonField(dict, label="Keyword arguments", help_text="A JSON object.")
    reason = forms.CharField(max_length=500, required=False, widget=forms.TextInput(attrs={"size": 60}))

    def add_refusal(self, refused: ArgumentsRefused) -> None:
        """Puts each fault under the field it is in."""
        for fault in refused.errors:
            where, *rest = fault["loc"]
            at = "".join(f"{part}: " for part in rest)
            self.add_error(where if where in self.fields else None, f"{at}{fault['msg']}")


class ChangingAdmin(ActingAdmin):
    """A page of one row whose job may be requeued with other arguments."""

    action_form = WhyForm
    change_form_template = "admin/changing.html"

    def requeue_changed(self, obj: Any, *, by: str, reason: str, args: list[Any], kwargs: dict[str, Any]) -> str:
        """Calls the verb; the new job's id."""
        raise NotImplementedError

    def may_requeue(self, obj: Any) -> bool:
        """Whether its state allows it."""
        raise NotImplementedError

    def buttons_for(self, request: HttpRequest, obj: Any) -> list[tuple[str, str]]:
        pressable = super().buttons_for(request, obj)
        return [(name, words) for name, words in pressable if name != "requeue" or readable(obj.body)]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_requeue_changed"
        view = self.admin_site.admin_view(self.requeue_changed_view)
        return [path("<path:object_id>/requeue-changed/", view, name=name), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        offered = obj and self.has_operate_permission(request) and self.may_requeue(obj) and readable(obj.body)
        form = ArgumentsForm(initial=self._filled(request, obj)) if offered else None
        return super().change_view(request, object_id, form_url, {"arguments_form": form, **(extra_context or {})})

    def requeue_changed_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form by itself, with its errors; a good one requeues and leads to the new job."""
        if not (self.has_operate_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not readable(obj.body):
            self.message_user(request, str(Undecodable(str(self.opts.verbose_name), obj.pk)), messages.ERROR)
            return HttpResponseRedirect(self.page_of(obj.pk))
        form = ArgumentsForm(request.POST or None, initial=self._filled(request, obj))
        new_id = self._press(request, obj, form) if form.is_valid() else None
        return self._lead_to(request, obj, new_id) if new_id else self._form_page(request, obj, form)

    def _press(self, request: HttpRequest, obj: Any, form: ArgumentsForm) -> str | None:
        said = form.cleaned_data
        old_args, old_kwargs = arguments(obj.body)
        args, kwargs = (
            (said["args"], said["kwargs"])
            if sees_all(request)
            else (
                unmasked(said["args"], old_args),
                unmasked(said["kwargs"], old_kwargs),
            )
        )
        try:
            return self.requeue_changed(obj, by=who(request), reason=said["reason"], args=args, kwargs=kwargs)
        except ArgumentsRefused as refused:
            form.add_refusal(refused)
        except JobError as refused:
            form.add_error(None, str(refused))
        return None

    def _lead_to(self, request: HttpRequest, obj: Any, new_id: str) -> HttpResponse:
        url = reverse("admin:jobs_job_change", args=[quote(new_id)])
        self.message_user(
            request, format_html('Requeued with changes as <a href="{}">job {}</a>.', url, new_id), messages.SUCCESS
        )
        return HttpResponseRedirect(self.page_of(obj.pk))

    def _form_page(self, request: HttpRequest, obj: Any, form: ArgumentsForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Requeue with changes",
            "subtitle": str(obj),
            "opts": self.opts,
            "original": obj,
            "arguments_form": form,
        }
        return TemplateResponse(request, "admin/requeue_changed.html", context)

    def _filled(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        args, kwargs = shown_arguments(request, obj.task, obj.body)
        return {"args": pretty(args), "kwargs": pretty(kwargs)}


def unmasked(given: Any, original: Any) -> Any:
    """What was given, with the original value wherever the mask was left standing."""
    if given == MASK:
        return original
    if isinstance(given, Mapping) and isinstance(original, Mapping):
        return {key: unmasked(item, original.get(key, item)) for key, item in given.items()}
    if isinstance(given, list) and isinstance(original, Sequence) and not isinstance(original, str):
        return [unmasked(item, original[i] if i < len(original) else item) for i, item in enumerate(given)]
    return given


def sees_all(request: HttpRequest) -> bool:
    """Whether nothing is masked for this person."""
    return bool(request.user.has_perm("jobs.view_payload"))


def _unless_secret(name: str, value: Any) -> Any:
    """Secrets among arguments that nobody can read can't be told from the rest."""
    task = task_named(name)
    return MASK if task is None or secrets_of(task) else value


class Undecodable(JobError):
    """A stored message that can't be read, so that it can't run again."""

    def __init__(self, noun: str, key: Any) -> None:
        self.key = key
        super().__init__(f"The message of {noun} {key} can't be decoded, so that it can't run again. Post it anew.")

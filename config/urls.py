"""Every URL of the project."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from dlq.api import router as dead_letters
from jobs.api.app import api
from jobs.api.front import fronted

api.add_router("/dead-letters", dead_letters)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
if apps.is_installed("jobs.sandbox"):
    urlpatterns.append(path("sandbox/", include("jobs.sandbox.urls")))
    urlpatterns.append(path("demo/", include("jobs.demo.urls")))
urlpatterns.append(path("", fronted(api)))

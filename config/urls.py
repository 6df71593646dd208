"""Every URL of the project."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
if apps.is_installed("jobs.sandbox"):
    urlpatterns.append(path("sandbox/", include("jobs.sandbox.urls")))

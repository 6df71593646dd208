"""The demonstration's URLs, mounted at /demo/ in DEBUG."""

from django.urls import path

from jobs.demo import views

app_name = "demo"
urlpatterns = [
    path("", views.index, name="index"),
    path("send/", views.send, name="send"),
    path("process/", views.process, name="process"),
    path("jobs/<str:job_id>/", views.follow, name="job"),
    path("jobs/<str:job_id>/picture/", views.picture, name="picture"),
]

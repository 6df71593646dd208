"""Every URL of the sandbox."""

from django.urls import path

from jobs.sandbox import pages, services

app_name = "sandbox"
urlpatterns = [
    path("", pages.index, name="index"),
    path("mails/<int:pk>/", pages.read_mail, name="mail"),
    path("switch/", pages.switch, name="switch"),
    path("mail", services.mail),
    path("payments/charges", services.post_charge),
    path("payments/charges/<path:key>", services.get_charge),
    path("crm/contacts", services.contacts),
]

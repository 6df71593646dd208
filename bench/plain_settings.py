"""Django settings of the plain contender that keeps its results in django-celery-results."""

import environ

env = environ.Env()
SECRET_KEY = "a key of a measurement, worth nothing"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_results"]
DATABASES = {"default": env.db_url("DATABASE_URL", default="sqlite://:memory:")}
USE_TZ = True

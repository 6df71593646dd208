"""Django settings of the stock contender: django-celery-beat as its documentation says, in UTC."""

import environ

env = environ.Env()
SECRET_KEY = "a key of a measurement, worth nothing"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_beat"]
DATABASES = {"default": env.db_url("DATABASE_URL", default="sqlite://:memory:")}
USE_TZ = True
TIME_ZONE = "UTC"

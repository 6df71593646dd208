"""The three groups: view sees, operate acts on jobs, admin may do everything.

Django makes permissions after all migrations; the groups need them now, so they are made here when they are missing.
"""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW = {
    "jobs": ("view_job", "view_attempt", "view_queue", "view_worker", "view_activity"),
    "django_celery_beat": (
        "view_periodictask",
        "view_intervalschedule",
        "view_crontabschedule",
        "view_solarschedule",
        "view_clockedschedule",
    ),
    "django_celery_results": ("view_taskresult", "view_groupresult"),
}
OPERATE = {"jobs": ("operate_job", "operate_queue", "operate_schedule")}
EDITS = ("periodictask", "intervalschedule", "crontabschedule", "solarschedule", "clockedschedule")
ADMIN = {
    "jobs": ("view_payload", "admin_jobs", "view_token"),
    "django_celery_beat": tuple(f"{act}_{model}" for model in EDITS for act in ("add", "change", "delete")),
    "auth": (*(f"{act}_user" for act in ("view", "add", "change", "delete")), "view_group"),
}
GROUPS = {"view": (VIEW,), "operate": (VIEW, OPERATE), "admin": (VIEW, OPERATE, ADMIN)}


def make_groups(apps, schema_editor):
    using = schema_editor.connection.alias
    for app_label in {label for grants in GROUPS.values() for part in grants for label in part}:
        create_permissions(installed.get_app_config(app_label), verbosity=0, using=using, apps=apps)
    for name, grants in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        for grant in grants:
            group.permissions.add(*_permissions(apps, grant, using))


def _permissions(apps, grant, using):
    model = apps.get_model("auth", "Permission").objects.using(using)
    for app_label, codenames in grant.items():
        for codename in codenames:
            yield model.get(content_type__app_label=app_label, codename=codename)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("django_celery_results", "0014_alter_taskresult_status"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="job",
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("operate_job", "Can post, cancel and requeue jobs"),
                    ("view_payload", "Can see arguments and results unredacted"),
                    ("admin_jobs", "Can purge queues, delete, and manage tokens"),
                    ("operate_schedule", "Can pause, resume and run schedules"),
                ],
            },
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]

"""What the groups may do with dead letters."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {
    "view": ("view_deadletter",),
    "operate": ("view_deadletter", "operate_deadletter"),
    "admin": ("view_deadletter", "operate_deadletter"),
}


def grant(apps, schema_editor):
    using = schema_editor.connection.alias
    create_permissions(installed.get_app_config("dlq"), verbosity=0, using=using, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(using).filter(content_type__app_label="dlq")
    for name, codenames in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        group.permissions.add(*permissions.filter(codename__in=codenames))


class Migration(migrations.Migration):
    dependencies = [("dlq", "0001_initial"), ("jobs", "0002_groups")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]

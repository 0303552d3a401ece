"""What the demo starts with: two users, a counter, somebody to greet, a few tasks."""

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import migrations

TASKS = [
    ("todo", "Open this board in a second window"),
    ("todo", "Log in there as grace"),
    ("todo", "Rename a task while the other window watches"),
    ("doing", "Try the demo"),
    ("doing", "Read the tutorial"),
    ("done", "Install django-serverpush"),
]


def fill(apps, schema_editor):
    # In bulk, which sends no signals: there is no open page to hear of it.
    user_model = apps.get_model(settings.AUTH_USER_MODEL)
    ada, grace = user_model.objects.bulk_create(
        user_model(username=name, password=make_password("demo")) for name in ("ada", "grace")
    )
    for label, fields in [("pages.Counter", {}), ("pages.Person", {"name": "Ada"})]:
        model = apps.get_model(label)
        model.objects.bulk_create([model(pk=1, **fields)])
    task_model = apps.get_model("pages.Task")
    task_model.objects.bulk_create(
        task_model(column=column, title=title, changed_by=grace if place % 2 else ada)
        for place, (column, title) in enumerate(TASKS)
    )


class Migration(migrations.Migration):
    dependencies = [
        ("pages", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

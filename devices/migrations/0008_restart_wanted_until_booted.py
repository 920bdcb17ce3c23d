from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("devices", "0007_installed_software_plural")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="device",
            name="booted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="device",
            name="restart_wanted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]

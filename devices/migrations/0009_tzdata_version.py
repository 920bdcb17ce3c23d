from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("devices", "0008_restart_wanted_until_booted")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="installation",
            name="tzdata_version",
            field=models.CharField(blank=True, editable=False, max_length=20),
            preserve_default=False,
        ),
    ]

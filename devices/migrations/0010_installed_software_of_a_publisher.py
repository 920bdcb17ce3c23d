from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("devices", "0009_tzdata_version")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="installedsoftware",
            name="publisher",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterModelOptions(
            name="installedsoftware",
            options={
                "ordering": ["name", "publisher"],
                "verbose_name_plural": "installed software",
            },
        ),
        migrations.RemoveConstraint(model_name="installedsoftware", name="one_version_per_device"),
        migrations.AddConstraint(
            model_name="installedsoftware",
            constraint=models.UniqueConstraint(
                fields=("device", "name", "publisher"), name="one_version_per_device"
            ),
        ),
    ]

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("scheduling", "0019_runs_attempted_again")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="alarm",
            name="number",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AlterField(
            model_name="alarm",
            name="kind",
            field=models.CharField(
                choices=[
                    ("before_its_start", "Ran before this server had let it start"),
                    ("after_its_end", "Ran although it had ended without a start"),
                    ("unknown_run", "Is on the device, and this server knows nothing of it"),
                    ("more_unknown", "One of further runs that this server knows nothing of"),
                ],
                max_length=20,
            ),
        ),
    ]

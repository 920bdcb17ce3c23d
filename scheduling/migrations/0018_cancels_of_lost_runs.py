from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("scheduling", "0017_addresses_of_executions")]

    operations: ClassVar = [
        migrations.RemoveIndex(model_name="devicerun", name="run_cancelling"),
        migrations.AddIndex(
            model_name="devicerun",
            index=models.Index(
                condition=models.Q(
                    ("cancel_requested_at__isnull", False),
                    ("device__isnull", False),
                    ("status__in", ["running", "lost"]),
                ),
                fields=["device"],
                name="run_cancelling",
            ),
        ),
    ]

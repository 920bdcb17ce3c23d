from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("scheduling", "0018_cancels_of_lost_runs")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="devicerun",
            index=models.Index(
                condition=models.Q(("not_before__isnull", False), ("status", "pending")),
                fields=["not_before"],
                name="run_attempted_again",
            ),
        ),
    ]

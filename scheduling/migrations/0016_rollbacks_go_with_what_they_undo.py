from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("scheduling", "0015_executions_of_what_is_gone")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="devicerun",
            name="rolls_back",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The run whose work this one undoes.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rollbacks",
                to="scheduling.devicerun",
            ),
        ),
    ]

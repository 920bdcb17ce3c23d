from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("scheduling", "0016_rollbacks_go_with_what_they_undo")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="execution",
            name="file_addresses",
            field=models.JSONField(default=dict, editable=False),
        ),
    ]

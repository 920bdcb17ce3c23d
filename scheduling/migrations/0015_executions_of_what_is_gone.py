from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0014_executions_by_trigger"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("task__isnull", True)),
                fields=["task_name", "-id"],
                name="execution_of_nothing_kept",
            ),
        ),
    ]

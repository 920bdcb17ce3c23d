import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0003_recovery"),
        ("scheduling", "0006_alarms"),
    ]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="ended_as",
            field=models.CharField(
                blank=True,
                choices=[
                    ("pending", "Pending"),
                    ("running", "Running"),
                    ("success", "Success"),
                    ("partial", "Partial"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                    ("skipped", "Skipped"),
                    ("missed", "Missed"),
                ],
                editable=False,
                max_length=10,
            ),
        ),
        # Dependents are opened for what ended within a day.
        migrations.RunSQL(
            "UPDATE scheduled_task_executions SET ended_as = status"
            " WHERE status IN ('success', 'partial', 'failed')"
            " AND completed_at > now() - interval '2 days'",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name="devicerun",
            name="rolls_back",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The run whose work this one undoes.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="rollbacks",
                to="scheduling.devicerun",
            ),
        ),
        migrations.AddConstraint(
            model_name="devicerun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("rolls_back__isnull", False)),
                fields=("rolls_back",),
                name="one_rollback_per_run",
            ),
        ),
    ]

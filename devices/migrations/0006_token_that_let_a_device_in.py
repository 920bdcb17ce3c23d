import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0005_group_refreshed_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="enrolled_with",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="The token that let it in.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="devices",
                to="devices.enrollmenttoken",
            ),
        ),
    ]

from typing import ClassVar

from django.db import migrations

TAKE_OVER = """
UPDATE devices_installedsoftware AS installed SET publisher = software.publisher
  FROM scheduling_software AS software
 WHERE software.id = installed.catalogue_id
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("scheduling", "0020_alarms_for_the_rest"),
        ("devices", "0010_installed_software_of_a_publisher"),
    ]

    operations: ClassVar = [migrations.RunSQL(TAKE_OVER, migrations.RunSQL.noop)]

"""Templates of tasks; written by the pages and the API, which check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext_lazy

from accounts.administration import ReadOnlyAdmin, link, pretty
from scheduling.models import TaskTemplate

if TYPE_CHECKING:
    from django.utils.safestring import SafeString


@admin.register(TaskTemplate)
class TaskTemplateAdmin(ReadOnlyAdmin):
    list_display = ("name", "task_type", "user", "shared", "updated_at")
    list_select_related = ("user",)
    list_filter = ("task_type", "shared", "created_at")
    search_fields = ("name", "description", "id__startswith")
    fields = (
        "id", "name", "description", "task_type", "user", "shared", "its_definition", "its_page",
        "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Definition"))
    def its_definition(self, template: TaskTemplate) -> SafeString:
        return pretty(template.definition)

    @admin.display(description=gettext_lazy("Page"))
    def its_page(self, template: TaskTemplate) -> SafeString:
        return link(template.get_absolute_url(), template.name)

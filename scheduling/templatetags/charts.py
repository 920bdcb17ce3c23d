"""Pictures of figures, each with its table in a fold."""

from __future__ import annotations

from django import template

from scheduling.charts import Chart

register = template.Library()


@register.inclusion_tag("charts/_chart.html")
def chart(one: Chart) -> dict[str, Chart]:
    return {"chart": one}

"""Charts drawn by the server: figures anybody may read in a table, and the same as a picture."""

from scheduling.charts.days import Days, of_days
from scheduling.charts.drawing import Chart
from scheduling.charts.of_task import TaskCharts, of_task

__all__ = ["Chart", "Days", "TaskCharts", "of_days", "of_task"]

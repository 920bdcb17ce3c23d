"""The admin's pages of tasks, which people may write there, and of their history, which nobody may."""

from scheduling.admin import catalogue, devices, history, tasks, templates

__all__ = ["catalogue", "devices", "history", "tasks", "templates"]

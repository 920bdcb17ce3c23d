"""The task form: keeps what was typed, and hands it as raw data to the verbs.

Nothing is checked here; what the verbs refuse comes back through `refuse`, beside its field.
"""

from scheduling.forms.task import TaskForm

__all__ = ["TaskForm"]

"""Starts programs, says when one dies and starts it again, and ends them all in good order."""

from deployx.supervisor.program import NeverReady, Process, Program
from deployx.supervisor.supervisor import Supervisor

__all__ = ["NeverReady", "Process", "Program", "Supervisor"]

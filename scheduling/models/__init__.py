from scheduling.models.alarm import Alarm
from scheduling.models.catalogue import (
    Blob,
    ExecutionBlob,
    Software,
    SoftwareSource,
    StoredFile,
    Upload,
)
from scheduling.models.device_run import DeviceRun
from scheduling.models.execution import Execution
from scheduling.models.heartbeat import ServiceHeartbeat
from scheduling.models.output import OutputChunk, OutputGap
from scheduling.models.scheduled_task import ScheduledTask, TaskDependency
from scheduling.models.task_change import TaskChange
from scheduling.models.template import TaskTemplate

__all__ = [
    "Alarm",
    "Blob",
    "DeviceRun",
    "Execution",
    "ExecutionBlob",
    "OutputChunk",
    "OutputGap",
    "ScheduledTask",
    "ServiceHeartbeat",
    "Software",
    "SoftwareSource",
    "StoredFile",
    "TaskChange",
    "TaskDependency",
    "TaskTemplate",
    "Upload",
]

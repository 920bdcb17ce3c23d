from devices.models.agent_update import AgentRelease, AgentUpdate
from devices.models.device import Device
from devices.models.enrollment_token import EnrollmentToken
from devices.models.group import DeviceGroup
from devices.models.installed_software import InstalledSoftware
from devices.models.server import Installation, ServerKey

__all__ = [
    "AgentRelease",
    "AgentUpdate",
    "Device",
    "DeviceGroup",
    "EnrollmentToken",
    "Installation",
    "InstalledSoftware",
    "ServerKey",
]

"""The program on the device. In this repository it is `devices.agent`; its wheel installs it as
`deployx_agent`. It imports nothing of the server, which shares `protocol` and `kinds` with it."""

__version__ = "1.0.0"

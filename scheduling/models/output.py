from __future__ import annotations

from typing import ClassVar

from django.db import models

from scheduling.models.device_run import DeviceRun


class OutputChunk(models.Model):
    """Bytes a run wrote to one of its streams, at their offset in the order of both together."""

    class Stream(models.TextChoices):
        STDOUT = "stdout", "stdout"
        STDERR = "stderr", "stderr"

    # Its constraint's index finds the run as well: one index less for every chunk to enter.
    run = models.ForeignKey(
        DeviceRun, on_delete=models.CASCADE, related_name="output_chunks", db_index=False
    )
    offset = models.BigIntegerField()
    stream = models.CharField(max_length=6, choices=Stream.choices)
    data = models.BinaryField()
    written_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "offset"], name="one_chunk_per_offset")
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.offset}"


class OutputGap(models.Model):
    """Bytes that were written but not kept: the agent's spool or the server's limit was full."""

    run = models.ForeignKey(
        DeviceRun, on_delete=models.CASCADE, related_name="output_gaps", db_index=False
    )
    offset = models.BigIntegerField()
    bytes = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "offset"], name="one_gap_per_offset")
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.offset}+{self.bytes}"

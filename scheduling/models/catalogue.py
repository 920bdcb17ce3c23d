"""What can be deployed: files as they were uploaded, and software with a source for each platform."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from devices.agent import software_formats

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class Blob(models.Model):
    """Bytes in the store, once for every file that has them. The row comes after the bytes and goes
    before them; who refers to it holds its row, so that nothing is collected under their hands."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.PositiveBigIntegerField()
    content_type = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="blob_is_named_by_its_digest"
            ),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class StoredFileQuerySet(models.QuerySet["StoredFile"]):
    def visible_to(self, user: User | AnonymousUser) -> StoredFileQuerySet:
        """Administrators see every file; other people what they uploaded."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(user=user.pk)


class StoredFile(models.Model):
    """An uploaded file: a name a person gave, for bytes in the store."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, max_length=10_000)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="files")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="stored_files"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = StoredFileQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-id"], name="file_of_user")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("file", args=[self.pk])


class UploadQuerySet(models.QuerySet["Upload"]):
    def visible_to(self, user: User | AnonymousUser) -> UploadQuerySet:
        """Nobody but the person who began it."""
        return self.filter(user=user.pk) if user.is_active else self.none()

    def open(self, now: datetime) -> UploadQuerySet:
        """Those that are no file yet, and that somebody may still go on with."""
        return self.filter(file=None, expires_at__gt=now)


class Upload(models.Model):
    """A file on its way in, piece by piece; `received` bytes of `size` are in its draft."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, max_length=10_000)
    size = models.PositiveBigIntegerField()
    received = models.PositiveBigIntegerField(default=0)
    file = models.ForeignKey(StoredFile, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(received__lte=models.F("size")), name="upload_stays_within_its_size"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def hundredths(self) -> int:
        """How much of it is here."""
        return 100 * self.received // max(self.size, 1)


class SoftwareQuerySet(models.QuerySet["Software"]):
    def visible_to(self, user: User | AnonymousUser) -> SoftwareQuerySet:
        """The catalogue is everybody's to read; administrators keep it."""
        return self if user.is_active else self.none()


class Software(models.Model):
    """A version of a program, with its dependencies and a source for each platform."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    version = models.CharField(max_length=100)
    publisher = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=100, blank=True, db_index=True)
    description = models.TextField(blank=True, max_length=10_000)
    requirements = models.JSONField(default=dict, blank=True)
    dependencies = models.ManyToManyField(
        "self", symmetrical=False, related_name="dependents", blank=True
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SoftwareQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "-id"]
        verbose_name_plural = _("software")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["name", "version", "publisher"], name="one_entry_per_software_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("software", args=[self.pk])


class SoftwareSource(models.Model):
    """How a software comes onto one platform: a stored file, an address with its digest, or the name
    it has with a package manager."""

    software = models.ForeignKey(Software, on_delete=models.CASCADE, related_name="sources")
    position = models.PositiveSmallIntegerField(default=0)
    os = models.CharField(max_length=20, choices=software_formats.SYSTEMS)
    architecture = models.CharField(max_length=50, default="any")
    format = models.CharField(max_length=10, choices=software_formats.choices())
    file = models.ForeignKey(
        StoredFile, null=True, blank=True, on_delete=models.PROTECT, related_name="sources"
    )
    url = models.CharField(max_length=2_000, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    package_name = models.CharField(max_length=200, blank=True)
    install_command = models.TextField(blank=True, max_length=10_000)
    upgrade_command = models.TextField(blank=True, max_length=10_000)
    uninstall_command = models.TextField(blank=True, max_length=10_000)
    detect_command = models.TextField(blank=True, max_length=10_000)
    success_exit_codes = ArrayField(models.IntegerField(), default=list, blank=True)
    reboot_exit_codes = ArrayField(models.IntegerField(), default=list, blank=True)

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["software", "os", "architecture"], name="one_source_per_platform"
            ),
            models.CheckConstraint(
                condition=Q(file=None) | Q(url=""), name="source_is_a_file_or_an_address"
            ),
            models.CheckConstraint(
                condition=Q(url="") | Q(sha256__regex=r"^[0-9a-f]{64}$"),
                name="source_address_has_its_digest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.format} ({self.os}, {self.architecture})"


class ExecutionBlob(models.Model):
    """An execution may have its devices fetch these bytes; as long as its output they stay."""

    execution = models.ForeignKey(
        "scheduling.Execution", on_delete=models.CASCADE, related_name="blobs"
    )
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="executions")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["execution", "blob"], name="blob_once_per_execution"),
        ]

    def __str__(self) -> str:
        return f"{self.blob_id} for {self.execution_id}"

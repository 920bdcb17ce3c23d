from __future__ import annotations

import pytest
from django.db.models import Model
from django.test import Client

from devices.models import Device, InstalledSoftware
from scheduling.models import Execution, ExecutionBlob, Software, SoftwareSource, StoredFile
from scheduling.tests.administration.conftest import url

LINKS: list[tuple[type[Model], type[Model], str]] = [
    (StoredFile, SoftwareSource, "file__id__exact"),
    (StoredFile, ExecutionBlob, "q"),
    (Software, SoftwareSource, "software__id__exact"),
    (Software, InstalledSoftware, "catalogue_id__exact"),
    (Execution, ExecutionBlob, "execution__id__exact"),
    (Device, InstalledSoftware, "device__id__exact"),
]


@pytest.mark.parametrize(
    ("model", "linked", "lookup"), LINKS, ids=[f"{a.__name__}-{b.__name__}" for a, b, c in LINKS]
)
def test_a_page_leads_to_the_list_of_what_belongs_to_it(
    office: Client, everything: Model, model: type[Model], linked: type[Model], lookup: str
) -> None:
    row = model._default_manager.all()[:1].get()
    page = office.get(url(model, "change", row.pk)).content.decode()
    value = row.blob_id if isinstance(row, StoredFile) and lookup == "q" else row.pk
    address = f"{url(linked, 'changelist')}?{lookup}={value}"
    assert f'href="{address}"' in page
    assert office.get(address).status_code == 200


def test_a_source_leads_to_its_software_and_its_file(office: Client, everything: Model) -> None:
    source = SoftwareSource.objects.all()[:1].get()
    page = office.get(url(SoftwareSource, "change", source.pk)).content.decode()
    assert url(Software, "change", source.software_id) in page
    assert "<select" not in page


def test_a_file_leads_to_its_bytes(office: Client, everything: Model) -> None:
    file = StoredFile.objects.get()
    page = office.get(url(StoredFile, "change", file.pk)).content.decode()
    assert f'href="{file.get_absolute_url()}content"' in page


def test_installed_software_shows_its_publisher_and_is_found_by_it(
    office: Client, everything: Model
) -> None:
    InstalledSoftware.objects.update(publisher="Acme")
    address = url(InstalledSoftware, "changelist")
    assert '<td class="field-publisher">Acme</td>' in office.get(address).content.decode()
    for asked, number in (("acm", 1), ("other", 0)):
        found = office.get(address, {"q": asked}).context["cl"].result_count
        assert found == number, asked

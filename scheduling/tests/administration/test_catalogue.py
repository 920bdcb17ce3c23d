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

"""Groups by query: what a query finds, and how a wrong one is refused."""

from __future__ import annotations

import pytest
from django.db.models.expressions import RawSQL
from django.utils import timezone

from devices import queries
from devices.models import Device, InstalledSoftware
from devices.tests.conftest import make_device

pytestmark = pytest.mark.django_db
CASES = [
    ("os = linux", {"web", "db"}),
    ("OS = Linux AND name = WEB", {"web"}),
    ("os != linux", {"mac"}),
    ("architecture = arm64", {"mac"}),
    ("architecture in (ARM64, riscv64)", {"mac"}),
    ("not os = linux", {"mac"}),
    ("tag.site in (berlin, hamburg)", {"web", "db"}),
    ("tag.retired", {"mac"}),
    ("not tag.retired and os = linux", {"web", "db"}),
    ("tag.site = berlin or tag.retired", {"web", "mac"}),
    ("os = linux and tag.site = berlin or tag.retired", {"web", "mac"}),
    ("os = linux and (tag.site = berlin or tag.retired)", {"web"}),
    ("tag.site != berlin", {"db", "mac"}),
    ("facts.memory_bytes >= 8000", {"web"}),
    ("facts.memory_bytes < 8000", {"db"}),
    ("facts.disk.kind = ssd", {"db"}),
    ("facts.memory_bytes", {"web", "db"}),
    ("tag.2024", {"db"}),
    ("not tag.2024", {"web", "mac"}),
    ("tag.99999999999", set()),
    ("facts.raid.0.size = 2", {"web"}),
    ("facts" + ".a" * 16, set()),
    ('facts.os_name ~ "debian gnu"', {"web"}),
    ("version >= 1.9", {"web", "db"}),
    ("version < 1.10", {"db", "mac"}),
    ("software.nginx", {"web", "db"}),
    ("software.NGINX >= 1.24", {"web"}),
    ("os = linux and not software.nginx >= 1.24", {"db"}),
    ('software."Visual Studio" = 17', {"mac"}),
    ("hostname ~ example", {"web"}),
    ('name = "a name with \\"quotes\\""', set()),
]


@pytest.fixture(autouse=True)
def fleet() -> None:
    web, _ = make_device(
        "web",
        facts={"memory_bytes": 16_000, "os_name": "Debian GNU/Linux", "raid": {"0": {"size": 2}}},
    )
    db, _ = make_device("db", facts={"memory_bytes": 4_000, "disk": {"kind": "SSD"}})
    mac, _ = make_device("mac", facts={"memory_bytes": None})
    changes = {
        web.pk: {"os": "linux", "tags": {"site": "berlin"}, "agent_version": "1.10.0"},
        db.pk: {"os": "linux", "tags": {"site": "Hamburg", "2024": ""}, "agent_version": "1.9"},
        mac.pk: {"os": "macos", "tags": {"retired": ""}, "agent_version": "1.2"},
    }
    for pk, values in changes.items():
        Device.objects.filter(pk=pk).update(**values)
    Device.objects.filter(pk=web.pk).update(hostname="web.example.org", architecture="x86_64")
    Device.objects.filter(pk=mac.pk).update(architecture="arm64")
    for device, name, version in (
        (web, "nginx", "1.100"), (db, "Nginx", "1.22.1"), (mac, "Visual Studio", "17"),
    ):  # fmt: skip
        InstalledSoftware.objects.create(
            device=device, name=name, version=version, seen_at=timezone.now()
        )


@pytest.mark.parametrize(("query", "names"), CASES, ids=[query for query, _ in CASES])
def test_a_query_finds(query: str, names: set[str]) -> None:
    found = Device.objects.filter(queries.parse(query)).values_list("name", flat=True)
    assert set(found) == names


@pytest.mark.parametrize(
    "number",
    [
        f'"0.{"0" * 400}1"', f'"{"9" * 400}"', f'"1.{"1" * 400}"', '"1e400"', '"NaN"', '"1."',
        "1e400", "1e-400", "-1e-400", "{}", "[]", "true", "null",
    ],
)  # fmt: skip
def test_no_device_keeps_a_query_from_finding_the_others(number: str) -> None:
    """Whatever it says of itself."""
    odd, _ = make_device("odd")
    facts = RawSQL("%s::jsonb", [f'{{"memory_bytes": {number}}}'])
    Device.objects.filter(pk=odd.pk).update(facts=facts, agent_version="9" * 50)
    InstalledSoftware.objects.create(
        device=odd, name="nginx", version="9" * 200, seen_at=timezone.now()
    )
    for query in ("facts.memory_bytes < 5000", "version < 1.10", "software.nginx < 1.23"):
        assert "db" in Device.objects.filter(queries.parse(query)).values_list("name", flat=True)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "ends too soon"),
        ("os = ", "ends too soon"),
        ("os = linux and", "ends too soon"),
        ("(os = linux", "ends too soon"),
        ("os == linux", "column 5"),
        ("os = linux)", "column 11"),
        ("colour = red", "colour is not a field; there are name, hostname"),
        ("name > 3", "> does not order texts"),
        ("facts.cpus > many", "> needs a number, not 'many'"),
        ("tag.a = 1 " + "or tag.a = 1 " * 150, "at most 100 conditions"),
        ("facts" + ".a" * 17 + " = 1", "at most 16 parts"),
        ("facts" + ".a" * 900, "at most 16 parts"),
        ("x" * 2_001, "at most 2000 characters"),
    ],
)
def test_a_wrong_query_says_where_it_is_wrong(query: str, said: str) -> None:
    with pytest.raises(queries.BadQuery, match=said.replace("(", r"\(")):
        queries.parse(query)


def test_a_tower_of_brackets_is_read_or_refused_in_good_order() -> None:
    assert queries.parse("(" * 900 + "tag.a" + ")" * 900)

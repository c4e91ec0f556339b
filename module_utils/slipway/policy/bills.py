# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a product says of the bills of materials of its systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..release.names import make_file_name
from .extras import Extra, read_stated
from .values import describe_kind, find_key_faults

TYPE = "bill"
#: The formats of bills: SPDX and CycloneDX.
FORMATS = ("spdx", "cdx")
LICENCE_MANIFEST = "licence-manifest"


@dataclass(frozen=True)
class Bills:
    """Whether bills are made, if that is said; whether licences are read for them; and those that somebody states."""

    make: bool | None = None
    licences: bool | None = None
    stated: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_bills(value: object, where: str) -> tuple[Bills, list[str]]:
    """What is said of them, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None or isinstance(value, bool):
        return Bills(make=value), []
    if not isinstance(value, dict):
        return Bills(), [
            f"{where}: it is {describe_kind(value)}, neither true nor false, nor a mapping such as {{licences: true}}"
        ]
    faults = find_key_faults(value, ("make", "licences", "stated"), where)
    chosen: dict[str, bool | None] = {}
    for key in ("make", "licences"):
        said = value.get(key)
        chosen[key] = said if isinstance(said, bool) else None
        if said is not None and not isinstance(said, bool):
            faults.append(f"{where}.{key}: it is {describe_kind(said)}, neither true nor false")
    stated, wrong = read_stated(value.get("stated"), f"{where}.stated")
    return Bills(chosen["make"], chosen["licences"], stated), [*faults, *wrong]


def list_bills(
    bills: Bills,
    extras: Sequence[Extra],
    product: str,
    deployments: Sequence[Mapping[str, Any]],
    *,
    label: str,
    default: bool,
) -> list[dict[str, Any]]:
    """The bills of a product's systems, as a plan lists extra files.

    ``default`` is whether there are any if the product says nothing. Licences are read for them if the product says so,
    or else if it has a manifest of licences anyway.
    """
    if not (default if bills.make is None else bills.make):
        return []
    manifests = [extra for extra in extras if extra.type == LICENCE_MANIFEST]
    licences = bool(manifests) if bills.licences is None else bills.licences
    stated = {name: said for extra in manifests for name, said in extra.settings["stated"].items()}
    systems = {each["system_name"]: each for each in deployments if each["product"] == product}
    return [
        {
            "name": f"{name}.{form}.json",
            "product": product,
            "type": TYPE,
            "system": system["system"],
            "system_name": name,
            "architecture": system["architecture"],
            "file": make_file_name(label, f"{name}.{form}.json"),
            "settings": {"format": form, "licences": licences, "stated": {**stated, **bills.stated}},
            "compression": "none",
        }
        for name, system in systems.items()
        for form in FORMATS
    ]

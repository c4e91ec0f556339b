# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is public of a project, read where everybody reads it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlipwayError
from ..policy.due import Last
from ..publish.channel import fetch_published_mapping
from ..publish.feed import LISTING
from ..publish.package import MANIFEST
from ..release.artifact import find_name_fault

ATTEMPT = "find out what is public from"
DO_NEXT = "Nothing was changed. Correct it, or the address (release_train_channel), and run again."


@dataclass(frozen=True)
class Public:
    """The last release of each product by its name, and every version that was public, and which were withdrawn."""

    channel: str = ""
    last: Mapping[str, Last] = field(default_factory=dict)
    versions: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)


def read_public(channel: str, *, project: str, timeout: float = 60.0, ca_path: str | None = None) -> Public:
    """Read ``releases.json`` of a public address; where there is none, nothing is public yet."""
    listing = _fetch(channel, LISTING, timeout=timeout, ca_path=ca_path)
    if listing is None:
        if _fetch(channel, MANIFEST, timeout=timeout, ca_path=ca_path) is not None:
            raise _make_error(channel, LISTING, "there are releases, but no such list; see release_current_index")
        return Public(channel)
    try:
        if listing["project"] != project:
            raise _make_error(channel, LISTING, f"it is of the project {listing['project']}, and not of {project}")
        last = {
            product["name"]: Last(product["version"], datetime.date.fromisoformat(product["date"][:10]))
            for product in listing["products"]
            if product["date"]
        }
        labels = {product["name"]: str(product["label"]) for product in listing["products"]}
        versions = frozenset(str(release["version"]) for release in listing["releases"])
        withdrawn = frozenset(str(release["version"]) for release in listing["releases"] if release.get("withdrawn"))
    except (KeyError, TypeError, ValueError) as error:
        raise _make_error(channel, LISTING, f"it is none of ours: {type(error).__name__} {error}") from error
    return Public(channel, last, versions, withdrawn, labels)


def read_manifest(public: Public, product: str, *, timeout: float = 60.0, ca_path: str | None = None) -> dict[str, Any]:
    """What the last release of a product says that it was made of; empty if it does not say."""
    label = public.labels.get(product, "")
    if not label or find_name_fault(label):
        return {}
    return _fetch(public.channel, f"{label}/{MANIFEST}", timeout=timeout, ca_path=ca_path) or {}


def _fetch(channel: str, path: str, *, timeout: float, ca_path: str | None) -> dict[str, Any] | None:
    return fetch_published_mapping(channel, path, attempt=ATTEMPT, do_next=DO_NEXT, timeout=timeout, ca_path=ca_path)


def _make_error(channel: str, path: str, came_back: str) -> SlipwayError:
    return SlipwayError(ATTEMPT, f"{channel.rstrip('/')}/{path}", came_back, do_next=DO_NEXT)

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is watched: the JSON file that the provisioning writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import read_regular
from ..verify.reader import Reader
from ..verify.trusted import read_given

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
RELEASES, ARCHIVE = "releases", "archive"
KINDS = (RELEASES, ARCHIVE)
MEMBERS = {"url", "key", "kind", "suites", "ca_path", "signer_keys"}
DO_NEXT = "Correct the variables of this host, and provision it again."


@dataclass(frozen=True)
class Channel:
    """A place that is watched, by its name."""

    name: str
    url: str
    key: str
    kind: str = RELEASES
    suites: tuple[str, ...] = ()
    signer_keys: tuple[str, ...] = ()
    ca_path: str | None = None


@dataclass(frozen=True)
class Settings:
    """All that a watch knows; times are in seconds.

    A round begins ``interval`` after the last one, and asks each channel for at most ``timeout``. Each file is read
    again within ``reread``. What expires within ``warn`` is told.
    """

    channels: tuple[Channel, ...]
    work: Path
    interval: float = 300.0
    timeout: float = 3600.0
    idle_timeout: float = 30.0
    reread: float = 30 * 86400.0
    warn: float = 14 * 86400.0
    title: str = "What is published"


def read_settings(path: Path) -> Settings:
    """The settings that the provisioning wrote as JSON."""
    try:
        found = json.loads(read_regular(path))
        numbers = ("interval", "timeout", "idle_timeout", "reread", "warn")
        made = Settings(
            channels=tuple(_read_channel(name, values) for name, values in sorted(found["channels"].items())),
            work=Path(found["work"]),
            title=str(found.get("title") or Settings.title),
            **{name: float(found[name]) for name in numbers if name in found},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SlipwayError("read the settings", str(path), f"{error!r}", do_next=DO_NEXT) from error
    faults = [] if made.channels else ["no channel is watched"]
    faults += [f"the channel {channel.name!r} {fault}" for channel in made.channels for fault in _find_faults(channel)]
    faults += [f"{name} is {getattr(made, name):g}, and not above zero" for name in numbers if getattr(made, name) <= 0]
    refuse("watch with", str(path), faults, do_next=DO_NEXT, several="settings are not usable")
    return made


def check_settings(settings: Settings) -> None:
    """Fail if a key or an address cannot be used; nothing is asked."""
    faults = []
    for channel in settings.channels:
        try:
            read_given(channel.key)
            Reader(channel.url, ca_path=channel.ca_path)
        except SlipwayError as error:
            faults.append(f"{channel.name}: {error.came_back}")
    refuse("watch", "the channels", faults, do_next=DO_NEXT, several="settings are not usable")


def _read_channel(name: str, values: Mapping[str, Any]) -> Channel:
    if unknown := sorted(values.keys() - MEMBERS):
        raise ValueError(f"the channel {name} has {unknown[0]!r}, which means nothing")
    return Channel(
        name,
        str(values["url"]),
        str(values["key"]),
        str(values.get("kind") or RELEASES),
        tuple(map(str, values.get("suites") or ())),
        tuple(map(str, values.get("signer_keys") or ())),
        values.get("ca_path") or None,
    )


def _find_faults(channel: Channel) -> list[str]:
    faults = [] if NAME.match(channel.name) else ["has a name that is not made of letters, digits and . _ -"]
    if channel.kind not in KINDS:
        faults.append(f"is of the kind {channel.kind!r}, and not one of {', '.join(KINDS)}")
    return faults

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns a release's systems into orders for distbuild networks, and results into elements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of, refuse, require_fields
from ..morph.cache import is_system
from .protocol import DEFAULT_PORT, Controller, Request
from .submission import Order

ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?\Z")


def parse_controller(address: str) -> Controller:
    """The controller at ``host``, ``host:port`` or ``[IPv6 address]:port``."""
    parts = ADDRESS.match(address)
    if parts is None:
        raise SlipwayError(
            "use the controller", repr(address), "it is not an address", do_next="Give HOST or HOST:PORT and run again."
        )
    return Controller(parts["v6"] or parts["host"], int(parts["port"] or DEFAULT_PORT))


def make_system_orders(
    systems: Sequence[Mapping[str, Any]],
    controllers: Mapping[str, str],
    *,
    make_request: Callable[[str], Request],
    logs: Path,
    previous: Iterable[Mapping[str, Any]] = (),
) -> list[Order]:
    """The builds of a release's systems, each by the controller of its architecture, requested by ``make_request``.

    Logs go to ``<logs>/<system>``. ``previous`` tells what earlier builds of the same are named in the cache. An
    architecture without a controller is a failure that names all such systems.
    """
    previous = list(previous)
    require_fields(
        previous,
        ("element", "architecture"),
        attempted="use",
        on="what an earlier build returned",
        do_next="Give its elements as they are, or none.",
    )
    known = {
        (entry["element"], entry["architecture"]): [entry["artifact"]] for entry in previous if entry.get("artifact")
    }
    without_controller = [system for system in systems if system["architecture"] not in controllers]
    refuse(
        "build",
        f"{len(without_controller)} of {count_of(len(systems), 'system')}",
        [f"{system['name']}: {system['architecture']}" for system in without_controller],
        summary="there is no controller for their architectures",
        do_next="Name it in release_build_controllers, or leave them out by release_allow_missing_arches.",
    )
    return [
        Order(
            parse_controller(controllers[system["architecture"]]),
            make_request(system["file"]),
            logs / system["name"],
            artifacts=known.get((system["file"], system["architecture"]), []),
        )
        for system in systems
    ]


def list_elements(results: Sequence[Mapping[str, Any]], systems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The built elements, as buildstream_build returns them; the key is empty for what check mode would build."""
    found = []
    for result, system in zip(results, systems, strict=True):
        artifact = next((name for name in result["artifacts"] if is_system(name)), "")
        found.append(
            {
                "element": system["file"],
                "architecture": system["architecture"],
                "key": artifact.partition(".")[0],
                "artifact": artifact,
                "cached": bool(result["cached"]),
            }
        )
    return found

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stamp a published release of debs once more, from the shadow archive's debs as they are now, and compare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..apt.publication import make_label, read_published
from ..deb.control import Control
from ..deb.file import Hasher
from ..deb.metapackage import SECTION, Metapackage
from ..deb.stamp import Order, StampedDeb, stamp_debs
from ..deb.version import Rule
from ..errors import SlipwayError
from ..files import make_scratch
from .difference import Bounds, locate
from .verdict import DIFFERENT, SAME, STAMPED, UNAVAILABLE, DebVerdict, Verdict

#: How many debs that are not to be had any more are named.
MOST_NAMED = 20
_DEMAND = re.compile(r"([a-z0-9][a-z0-9+.-]+) \(= ([^()\s]+)\)", re.ASCII)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Release:
    """A release that is published, and how it was stamped."""

    distribution: str
    release: str
    template: str
    fields: Mapping[str, str]

    @property
    def label(self) -> str:
        """What its snapshot is called."""
        return make_label(self.distribution, self.release)


@dataclass(frozen=True)
class _Row:
    control: Control
    path: Path
    sha256: str


def restamp(
    release: Release,
    platform: str,
    architectures: Sequence[str],
    *,
    published: Path,
    shadow: Path,
    component: str,
    bounds: Bounds,
) -> Verdict:
    """Stamp what is published for a platform once more; nothing is written but what is compared."""
    if read_published(published, release.label) is None:
        do_next = "Correct the distribution or the release."
        raise SlipwayError("stamp again", release.label, f"{published} has no such release", do_next=do_next)
    there = _read_rows(published / "snapshots" / release.label, platform, component, architectures)
    rule = Rule(release.release, platform, release.template)
    order = Order(rule, release.fields)
    order.check()
    before = _match(_read_rows(shadow, platform, component, architectures), rule, there)
    made = {key: _make_metapackage(row.control, release) for key, row in there.items() if _is_metapackage(row)}
    now: dict[Key, str] = {key: _digest(each.build_deb()) for key, each in made.items()}
    with make_scratch("slipway-stamped-") as scratch:
        stamped = _stamp(before, scratch / "stamped", order, check=True)
        now |= {key: deb.digests.sha256 for key, deb in stamped.items()}
        differ = [key for key in now if now[key] != there[key].sha256]
        if any(key in stamped for key in differ):
            stamped = _stamp(before, scratch / "stamped", order, check=False)
        debs = []
        for key, row in sorted(there.items()):
            where: list[str] = []
            if key in differ and key in made:
                (scratch / row.path.name).write_bytes(made[key].build_deb())
                where = locate(row.path, scratch / row.path.name, bounds)
            elif key in differ:
                where = locate(row.path, Path(stamped[key].path), bounds)
            debs.append(DebVerdict(row.path.name, row.sha256, "", now.get(key, ""), tuple(where)))
    gone = [deb.name for deb in debs if not deb.now]
    reason = ""
    if gone:
        more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
        reason = f"The shadow archive has no longer what these were stamped from: {', '.join(gone[:MOST_NAMED])}{more}."
    verdict = DIFFERENT if differ and not gone else UNAVAILABLE if gone else SAME
    named = (STAMPED, platform, release.distribution, release.release, verdict, reason)
    return Verdict(*named, debs=tuple(debs), facts={"architectures": list(architectures)})


def _read_rows(top: Path, platform: str, component: str, architectures: Iterable[str]) -> dict[Key, _Row]:
    found = {}
    for architecture in architectures:
        index = top / "dists" / platform / component / f"binary-{architecture}" / "Packages"
        try:
            text = index.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            do_next = "Correct the platform, or restore the archive."
            raise SlipwayError("read the index", str(index), error.strerror or str(error), do_next=do_next) from error
        for paragraph in text.split("\n\n"):
            if not paragraph.strip():
                continue
            try:
                control = Control(paragraph.strip("\n") + "\n")
            except ValueError as fault:
                do_next = "Restore the archive from a copy."
                raise SlipwayError("read the index", str(index), str(fault), do_next=do_next) from None
            said = [control.get(name) or "" for name in ("Package", "Architecture", "Version", "Filename", "SHA256")]
            if ".." not in said[3]:
                found[said[0], said[1], said[2]] = _Row(control, top / said[3], said[4])
    return found


def _match(shadow: Mapping[Key, _Row], rule: Rule, there: Mapping[Key, _Row]) -> dict[Key, Path]:
    """The debs that the published ones were stamped from, by what they are called now."""
    found = {}
    for (name, architecture, version), row in shadow.items():
        key = (name, architecture, rule.apply(version))
        if key in there:
            found[key] = row.path
    return found


def _stamp(before: Mapping[Key, Path], directory: Path, order: Order, *, check: bool) -> dict[Key, StampedDeb]:
    if not before:
        return {}
    keys = list(before)
    return dict(zip(keys, stamp_debs([before[key] for key in keys], directory, order=order, check=check), strict=True))


def _is_metapackage(row: _Row) -> bool:
    return row.control.get("Section") == SECTION and (row.control.get("Priority") or "") == "optional"


def _make_metapackage(control: Control, release: Release) -> Metapackage:
    """The same words as were given once."""
    demands = [_DEMAND.findall(one) for one in (control.get("Depends") or "").split(",") if one.strip()]
    return Metapackage(
        package=control.get("Package") or "",
        version=control.get("Version") or "",
        architecture=control.get("Architecture") or "",
        maintainer=control.get("Maintainer") or "",
        summary=(control.get("Description") or "").partition("\n")[0],
        depends=[[word for pair in one for word in pair] for one in demands],
        fields=release.fields,
    )


def _digest(content: bytes) -> str:
    hasher = Hasher()
    hasher.update(content)
    return hasher.digests().sha256

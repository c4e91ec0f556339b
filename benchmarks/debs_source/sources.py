#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetch 120 real source packages of Debian 12, by an apt of its own that checks all digests: 40 MB or so.

Drawn are those up to 1 MB that a point release changed, in the order of their names' digests: all in the format 1.0, at
most 30 native ones, and others. Not every mirror has all files of all sources; what one has not is passed over. What is
there stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import resolve_mirrors

SUITE = "bookworm"
#: Is in the versions of what point releases change.
CHANGED = "deb12u"
COUNT, NATIVE = 120, 30
LARGEST = 1_000_000
#: Says of a directory that all files of its source package came.
WHOLE = ".whole"
DRAWN = "drawn.json"
SOURCE = f"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine {SUITE} main"


@dataclass(frozen=True)
class Source:
    """A source package as the archive's index lists it."""

    name: str
    version: str
    format: str
    size: int

    @property
    def dsc(self) -> str:
        """The name of its .dsc."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}.dsc"


def cache() -> Path:
    """Where they are kept: $SLIPWAY_CACHE/benchmarks/sources, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(os.environ.get("SLIPWAY_CACHE", f"{home}/slipway")) / "benchmarks" / "sources"


def prepare_apt(place: Path) -> list[str]:
    """The options by which apt uses ``place`` and nothing of this machine's, once it has read the index."""
    for below in ("lists/partial", "cache/archives/partial"):
        (place / below).mkdir(parents=True, exist_ok=True)
    (place / "sources.list").write_text(f"{resolve_mirrors([SOURCE])[0]}\n")
    values = {
        "Dir::Etc::SourceList": place / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": place,
        "Dir::State::Lists": place / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": place / "cache",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
    }
    options = [f"-o{name}={value}" for name, value in values.items()]
    if not any(place.glob("lists/*_Sources*")):
        subprocess.run(["apt-get", "-q", *options, "update"], check=True, capture_output=True)
    return options


def read_index(options: Sequence[str]) -> Iterator[Source]:
    """All source packages of the suite."""
    return (read_source(fields) for fields in read_paragraphs(options))


def read_paragraphs(options: Sequence[str]) -> Iterator[dict[str, str]]:
    """The fields of all source packages of the suite."""
    listed = subprocess.run(
        ["apt-get", *options, "indextargets", "--format", "$(FILENAME)", "Created-By: Sources"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for path in listed.split():
        helper = ["/usr/lib/apt/apt-helper", *options, "cat-file", path]
        content = subprocess.run(helper, check=True, capture_output=True, text=True).stdout
        for paragraph in content.split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z0-9-]+):((?:.*\n?(?: .*\n?)*))", paragraph, re.MULTILINE))
            if "Package" in fields:
                yield fields


def read_source(fields: Mapping[str, str]) -> Source:
    """A source package by its fields."""
    rows = [line.split() for line in fields["Files"].splitlines() if line.strip()]
    name, version, form = (fields[field].strip() for field in ("Package", "Version", "Format"))
    return Source(name, version, form, sum(int(row[1]) for row in rows))


def draw(sources: Iterable[Source]) -> list[Source]:
    """All that may be fetched, in the order in which they are."""
    mine = [one for one in sources if CHANGED in one.version and one.size <= LARGEST]
    mine.sort(key=lambda one: hashlib.sha256(one.name.encode()).hexdigest())
    parts = {form: [one for one in mine if one.format == form] for form in {one.format for one in mine}}
    native = parts.pop("3.0 (native)", [])[:NATIVE]
    return [*parts.pop("1.0", []), *native, *(one for part in parts.values() for one in part)]


def download(one: Source, place: Path, options: Sequence[str]) -> bool:
    """Have a source package in a directory of its own; False if the mirror has not all of it."""
    directory = place / one.name
    if not (directory / WHOLE).is_file():
        directory.mkdir(parents=True, exist_ok=True)
        words = ["apt-get", "-q", *options, "source", "--download-only", f"{one.name}={one.version}"]
        done = subprocess.run(words, cwd=directory, check=False, capture_output=True, text=True)
        if done.returncode:
            if "404" not in done.stdout + done.stderr:
                raise SystemExit(f"{one.name} cannot be fetched: {done.stderr}")
            return False
        (directory / WHOLE).touch()
    return True


def fetch() -> list[Source]:
    """Have them in the cache; they, by name."""
    options = prepare_apt(cache() / "apt")
    found: list[Source] = []
    for one in draw(read_index(options)):
        if len(found) < COUNT and download(one, cache(), options):
            found.append(one)
    found.sort(key=lambda one: one.name)
    (cache() / DRAWN).write_text(json.dumps([asdict(one) for one in found]))
    return found


def read_drawn() -> list[Source]:
    """What was fetched last, without a look at the index, which takes memory."""
    return [Source(**row) for row in json.loads((cache() / DRAWN).read_text())]


def main() -> None:
    """Fetch them, and tell."""
    found = fetch()
    print(f"{len(found)} source packages, {sum(one.size for one in found) / 1e6:.0f} MB, in {cache()}")


if __name__ == "__main__":
    main()

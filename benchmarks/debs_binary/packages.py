#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetch 100 real small source packages of Debian 12, from the mirror that this machine's apt uses.

Drawn are those up to 60 kB that make at most two packages and need nothing but debhelper for it, in the order of their
names' digests. What the mirror has not is passed over, and what is there stays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "debs_source")]

import sources

COUNT = 100
LARGEST, MOST_BINARIES = 60_000, 2
NEEDED = {"debhelper", "debhelper-compat"}
NEEDS = ("Build-Depends", "Build-Depends-Arch", "Build-Depends-Indep")


def cache() -> Path:
    """Where they are kept, outside the checkout."""
    return sources.cache().parent / "builds"


def draw(paragraphs: Iterable[Mapping[str, str]]) -> list[sources.Source]:
    """All that may be fetched, in the order in which they are."""
    found = [
        one
        for fields in paragraphs
        if fields.get("Extra-Source-Only", "").strip() != "yes"
        and len(fields["Binary"].split(",")) <= MOST_BINARIES
        and _list_needed(fields) <= NEEDED
        and (one := sources.read_source(fields)).size <= LARGEST
    ]
    return sorted(found, key=lambda one: hashlib.sha256(one.name.encode()).hexdigest())


def _list_needed(fields: Mapping[str, str]) -> set[str]:
    relations = ",".join(fields.get(name, "") for name in NEEDS)
    return {re.split(r"[\s(:\[<|]", relation.strip())[0] for relation in relations.split(",") if relation.strip()}


def fetch(count: int) -> list[sources.Source]:
    """Have so many in the cache."""
    options = sources.prepare_apt(cache() / "apt")
    found: list[sources.Source] = []
    for one in draw(sources.read_paragraphs(options)):
        if len(found) < count and sources.download(one, cache(), options):
            found.append(one)
    (cache() / sources.DRAWN).write_text(json.dumps([asdict(one) for one in found]))
    return found


def read_drawn(count: int) -> list[Path]:
    """The .dsc of the first so many, without a look at the index, which takes memory."""
    drawn = cache() / sources.DRAWN
    rows = json.loads(drawn.read_text()) if drawn.is_file() else []
    if len(rows) < count:
        raise SystemExit(f"only {len(rows)} source packages are there: python benchmarks/debs_binary/packages.py first")
    return [cache() / row["name"] / sources.Source(**row).dsc for row in rows[:count]]


def main() -> None:
    """Fetch them, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    found = fetch(parser.parse_args().count)
    print(f"{len(found)} source packages, {sum(one.size for one in found) / 1e6:.1f} MB, in {cache()}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make every fetched source package anew for a platform, and judge the result with Debian's own programs.

``python benchmarks/debs_source/survey.py`` fetches what is missing (``sources.py``), makes ``{version}~{platform}1``
of each and writes the table ``survey.md`` beside it. A result is right if ``dscverify`` takes its signature and
digests, ``dpkg-source -x`` unpacks it, its tree is the original's but for ``debian/changelog``, and there
``dpkg-parsechangelog`` reads the new version, and the old changelog is the rest.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(Path(__file__).parent)]

from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import debianize, source
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from sources import LARGEST, Source, cache, fetch

PLATFORM = "bookworm"
TEMPLATE = "{version}~{platform}1"
PERSON = "Survey of Sources <survey@example.org>"
TABLE = Path(__file__).with_name("survey.md")


@dataclass(frozen=True)
class Row:
    """What became of a source package."""

    source: Source
    result: str
    faults: tuple[str, ...] = ()


def make_order(one: Source) -> source.SourceOrder:
    """What is to be made of it."""
    control = {
        "kind": "dsc",
        "package": one.name,
        "version": one.version,
        "dsc": one.dsc,
        "rosdeps": {PLATFORM: []},
    }
    style = debianize.Style(maintainer=PERSON)
    return source.SourceOrder(control, cache() / one.name, (PLATFORM,), version=TEMPLATE, style=style)


def judge(one: Source, outcome: source.Outcome, keyring: Path) -> Row:
    """Whether what was made is right."""
    if outcome.failed:
        return Row(one, "refused", (outcome.failed[0].reason,))
    made = outcome.made[0]
    return Row(one, made.version, tuple(find_faults(one, made, keyring)))


def find_faults(one: Source, made: source.SourcePackage, keyring: Path) -> Iterator[str]:
    """What Debian's programs find in it."""
    with tempfile.TemporaryDirectory(prefix="slipway-survey-") as name:
        place = Path(name)
        verified = ask("dscverify", "--no-default-keyrings", "--keyring", str(keyring), made.dsc)
        if verified.returncode:
            yield f"dscverify: {verified.stderr or verified.stdout}"
        for dsc, tree in ((cache() / one.name / one.dsc, "old"), (Path(made.dsc), "new")):
            unpacked = ask("dpkg-source", "--no-copy", "-q", "-x", str(dsc), str(place / tree))
            if unpacked.returncode:
                yield f"dpkg-source -x of the {tree} one: {unpacked.stderr}"
                return
        differences = sorted(compare(place / "old", place / "new"))
        if differences != ["debian/changelog"]:
            yield f"other differences: {differences[:5]}"
        log = place / "new/debian/changelog"
        told = ask("dpkg-parsechangelog", "-l", str(log), "--count", "2", "--show-field", "Version")
        if told.stdout.strip() != made.version:
            yield f"dpkg-parsechangelog reads {told.stdout.strip()}"
        if not log.read_bytes().endswith((place / "old/debian/changelog").read_bytes().lstrip(b"\n")):
            yield "the old changelog is not the rest of the new one"


def compare(old: Path, new: Path) -> Iterator[str]:
    """The paths at which two trees differ: in kind, content, mode, link, or being there."""
    names = {path.relative_to(top) for top in (old, new) for path in walk(top)}
    for name in names:
        one, other = old / name, new / name
        if not (os.path.lexists(one) and os.path.lexists(other)) or one.lstat().st_mode != other.lstat().st_mode:
            yield str(name)
        elif one.is_symlink():
            if os.readlink(one) != os.readlink(other):
                yield str(name)
        elif one.is_file() and not filecmp.cmp(one, other, shallow=False):
            yield str(name)


def walk(top: Path) -> Iterator[Path]:
    """All below a directory."""
    for where, directories, names in os.walk(top):
        yield from (Path(where, name) for name in (*directories, *names))


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """What a program says."""
    return subprocess.run(words, check=False, capture_output=True, text=True, errors="replace")


def write_table(rows: list[Row]) -> str:
    """The table, as Markdown."""
    right = [row for row in rows if not row.faults]
    counts = Counter(row.source.format for row in rows)
    lines = [
        "# Source packages of Debian, made anew for a platform",
        "",
        f"{len(rows)} source packages of Debian 12 up to {LARGEST // 1_000_000} MB that a point release changed, "
        "drawn by `sources.py` and made anew",
        f"by `survey.py`: {len(right)} are right, {len(rows) - len(right)} are not. "
        + ", ".join(f"{count} are in the format {form}" for form, count in sorted(counts.items()))
        + ".",
        "Right means what the head of `survey.py` says.",
        "",
        "| source | format | made | judged |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        verdict = "; ".join(" ".join(fault.split()) for fault in row.faults).replace("|", "\\|") or "right"
        lines.append(f"| {row.source.name} {row.source.version} | {row.source.format} | {row.result} | {verdict} |")
    lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Fetch, make, judge, write."""
    chosen = fetch()
    with tempfile.TemporaryDirectory(prefix="slipway-survey-") as name:
        place = Path(name)
        home, keyring = place / "gnupg", place / "key.gpg"
        key = make_key(home, PERSON)
        subprocess.run(["gpg", "--homedir", home, "--export", "--output", keyring], check=True, capture_output=True)
        signing = source.Signing(home, key)
        outcomes = source.make_sources([make_order(one) for one in chosen], place / "made", signing=signing)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            rows = list(pool.map(lambda one, outcome: judge(one, outcome, keyring), chosen, outcomes))
    TABLE.write_text(write_table(rows), encoding="utf-8")
    wrong = [row for row in rows if row.faults]
    print(f"{len(rows) - len(wrong)} of {len(rows)} are right; see {TABLE}")
    for row in wrong:
        print(f"{row.source.name}: {'; '.join(row.faults)}")


if __name__ == "__main__":
    main()

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check whether packages can be installed, by the solver dose-debcheck."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..deb.control import Control, decode_control, encode_control
from ..deb.relations import read_groups, read_relations
from ..errors import SlipwayError, count_of
from ..files import make_scratch
from ..process import run

#: The fields that decide whether a package can be installed.
DEMANDS = ("Package", "Version", "Architecture", "Provides", "Pre-Depends", "Depends", "Conflicts", "Breaks")

_PROVIDES = re.compile(r"^Provides:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NEEDS = re.compile(r"^(?:Pre-)?Depends:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NAMES = re.compile(r"(?:^|[,|])\s*([A-Za-z0-9][A-Za-z0-9+.-]*)")
_VALUE = re.compile(r"(\s*)([a-z0-9-]+):\s?(.*)")


@dataclass
class BrokenPackage:
    """A package that cannot be installed, and why.

    A reason is ``{pkg: values}``, whose ``unsat-dependency`` nothing meets, or ``{pkg1: values, pkg2: values}`` for two
    packages that exclude each other.
    """

    package: str
    version: str = ""
    reasons: list[dict[str, dict[str, str]]] = field(default_factory=list)


def digest_demands(control: Control) -> str:
    """A digest of everything in a control file that a solver looks at."""
    text = "\n".join(f"{name}: {' '.join((control.get(name) or '').split())}" for name in DEMANDS)
    return hashlib.sha256(encode_control(text)).hexdigest()[:16]


def check_installable(stanzas: Sequence[str], base: Iterable[Path], *, architecture: str) -> list[str]:
    """Why packages cannot be installed on this ``architecture``; nothing if each can.

    ``stanzas`` are paragraphs of ``Packages``, ``base`` the files with those of the platform. Packages that fail for
    the same reason share a sentence.
    """
    old = select_reachable(stanzas, (decode_control(path.read_bytes()) for path in base))
    with make_scratch("slipway-solver-") as temporary:
        files = {name: temporary / name for name in ("new", "base", "answer")}
        files["new"].write_bytes(encode_control("\n".join(stanzas)))
        files["base"].write_bytes(encode_control("\n".join(old)))
        sets = [f"--fg={files['new']}", f"--bg={files['base']}", f"--outfile={files['answer']}"]
        done = run(
            ["dose-debcheck", "--explain", "--failures", f"--deb-native-arch={architecture}", *sets],
            attempt="ask the solver about",
            on=f"{count_of(len(stanzas), 'package')} for {architecture}",
            do_next="Install dose-distcheck, or see the message above, and run again.",
            ok_codes=(0, 1),
        )
        report = files["answer"].read_text(encoding="utf-8", errors="replace") if files["answer"].exists() else ""
    broken = list(read_report(report))
    if done.returncode != 0 and not broken:
        raise SlipwayError(
            "ask the solver about",
            f"{count_of(len(stanzas), 'package')} for {architecture}",
            f"dose-debcheck failed without a reason: {done.stderr.strip()[:400]}",
            do_next="Check whether these packages' control files are in order and run again.",
        )
    return format_reasons(broken, find_unmet(stanzas, old))


def select_reachable(stanzas: Sequence[str], base: Iterable[str]) -> list[str]:
    """The paragraphs of ``base`` (texts of ``Packages``) that an installation of ``stanzas`` can possibly need.

    That is whatever their dependencies name or that provides it, and so on, in every version, and what is essential.
    A solver's answer is the same as with all of ``base``, and comes in a fraction of the time.
    """
    known: dict[str, list[str]] = {}
    wanted = [name for stanza in stanzas for name in _read_names(_NEEDS, stanza)]
    for text in base:
        for paragraph in text.split("\n\n"):
            name = _read_name(paragraph)
            known.setdefault(name, []).append(paragraph)
            if "\nProvides:" in paragraph:
                for provided in _read_names(_PROVIDES, paragraph):
                    known.setdefault(provided, []).append(paragraph)
            if "\nEssential: yes" in paragraph:
                wanted.append(name)
    chosen: dict[str, None] = {}
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            for paragraph in known.get(name, ()):
                if paragraph not in chosen:
                    chosen[paragraph] = None
                    wanted += _read_names(_NEEDS, paragraph)
    return [f"{paragraph.strip()}\n" for paragraph in chosen]


def find_unmet(stanzas: Sequence[str], base: Sequence[str]) -> list[tuple[str, str, str]]:
    """Package, version and demand, for each demand of ``stanzas`` that no package at all meets.

    A solver names one a package; this names every one.
    """
    versions: dict[str, list[str | None]] = {}
    for paragraph in (*stanzas, *base):
        control = Control(paragraph)
        versions.setdefault(control.get("Package") or "", []).append(control.get("Version"))
        for relation in read_relations(control, "Provides"):
            versions.setdefault(relation.name, []).append(relation.version)
    found = []
    for control in map(Control, stanzas):
        for name in ("Pre-Depends", "Depends"):
            for group in read_groups(control, name):
                if not any(
                    relation.version is None or (version is not None and relation.accepts(version))
                    for relation in group
                    for version in versions.get(relation.name, ())
                ):
                    demand = " | ".join(map(str, group))
                    found.append((control.get("Package") or "", control.get("Version") or "", demand))
    return found


def read_report(text: str) -> Iterator[BrokenPackage]:
    """The broken packages in dose-debcheck's report."""
    broken: BrokenPackage | None = None
    values: dict[str, str] = {}
    for match in filter(None, map(_VALUE.match, text.splitlines())):
        depth, name, value = len(match[1]), match[2], match[3].strip()
        if depth == 2 and name == "package":
            if broken is not None:
                yield broken
            broken = BrokenPackage(value)
        elif broken is None:
            continue
        elif depth == 2 and name == "version":
            broken.version = value
        elif name in {"missing", "conflict"}:
            broken.reasons.append({})
        elif name.startswith("depchain"):
            values = {}  # the chain of dependencies is not reported
        elif name in {"pkg", "pkg1", "pkg2"} and broken.reasons:
            values = broken.reasons[-1].setdefault(name, {})
        else:
            values[name] = value
    if broken is not None:
        yield broken


def format_reasons(broken: Iterable[BrokenPackage], missing: Iterable[tuple[str, str, str]] = ()) -> list[str]:
    """One sentence a reason, with every package that fails for it; ``missing`` are demands that nothing meets."""
    by_reason: dict[str, dict[str, None]] = {
        f"{package} {version} needs {demand}, which is not available": {} for package, version, demand in missing
    }
    for package in broken:
        for reason in package.reasons:
            sentence = _format_reason(reason)
            because = by_reason.setdefault(sentence, {})
            if not sentence.startswith(f"{package.package} {package.version} "):
                because[f"{package.package} {package.version}"] = None
    return [
        f"{sentence}; so {', '.join(names)} cannot be installed" if names else sentence
        for sentence, names in by_reason.items()
    ]


def _format_reason(reason: dict[str, dict[str, str]]) -> str:
    named = {part: f"{values.get('package')} {values.get('version')}" for part, values in reason.items()}
    if "pkg" in reason:
        return (
            f"{named['pkg']} needs {_format_demand(reason['pkg'].get('unsat-dependency', '?'))}, which is not available"
        )
    return f"{' and '.join(named.values())} exclude each other"


def _format_demand(text: str) -> str:
    """A demand as control files write it; the solver qualifies names, repeats provided ones, and writes > for >>."""
    plain = re.sub(r":[a-z0-9-]+(?= |$)", "", text).replace("(> ", "(>> ").replace("(< ", "(<< ")
    return " | ".join(dict.fromkeys(part.strip() for part in plain.split("|")))


def _read_name(paragraph: str) -> str:
    start = 0 if paragraph.startswith("Package:") else paragraph.find("\nPackage:") + 1
    return paragraph[start:].partition("\n")[0].partition(":")[2].strip()


def _read_names(fields: re.Pattern[str], paragraph: str) -> list[str]:
    return [name for value in fields.findall(paragraph) for name in _NAMES.findall(value)]

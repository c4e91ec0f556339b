# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements of a release: each signed, each about a file of it, and none about anything else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SlipwayError
from ..publish.directory import SUMS
from ..trust.dsse import STATEMENT, Envelope, read_envelopes
from .files import FETCH_AGAIN
from .finding import Report
from .trusted import Trusted, is_about_key, read_object

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
#: What is said of files that were made: SLSA's provenance.
PREDICATE = "https://slsa.dev/provenance/v1"
#: So many wrong ones are told one by one.
MOST_TOLD = 20


def name_statements(label: str) -> str:
    """The statements of a release, beside it."""
    return f"{label}.intoto.jsonl"


def verify_statements(
    report: Report, trusted: Trusted, path: str, data: bytes | None, *, sums: Mapping[str, str], pinned: str | None
) -> None:
    """Compare statements with ``sums``; a release may be without any, unless they are pinned.

    One may be about ``SHA256SUMS`` itself.
    """
    if data is None:
        if pinned is not None:
            seen = "nothing"
            report.add(
                "statement", path, expected=f"sha256 {pinned}, which latest.json names", seen=seen, do_next=FETCH_AGAIN
            )
        return
    digest = hashlib.sha256(data).hexdigest()
    if pinned is not None and pinned != digest:
        expected = f"sha256 {pinned}, which latest.json names"
        report.add("statement", path, expected=expected, seen=digest, do_next=FETCH_AGAIN)
    try:
        envelopes = read_envelopes(data, payload_type=STATEMENT, attempt="read the statements", on=path)
    except SlipwayError as error:
        report.add(
            "statement",
            path,
            expected="a DSSE envelope on each line",
            seen=f"{error.came_back} ({error.on})",
            do_next=FETCH_AGAIN,
        )
        return
    _verify_signatures(report, trusted, path, envelopes)
    _verify_subjects(report, path, envelopes, sums)


def _verify_signatures(report: Report, trusted: Trusted, path: str, envelopes: list[Envelope]) -> None:
    told = 0
    for number, judged in enumerate(trusted.judge_envelopes(envelopes), 1):
        report.count("statements")
        if judged.fault is not None and told < MOST_TOLD:
            told += 1
            report.add(
                "key" if is_about_key(judged.fault) else "statement",
                f"line {number} of {path}",
                expected=f"a signature by the key {trusted.given}, or one that it leads to",
                seen=judged.fault,
                do_next=FETCH_AGAIN,
            )


def _verify_subjects(report: Report, path: str, envelopes: list[Envelope], sums: Mapping[str, str]) -> None:
    about: set[str] = set()
    for number, envelope in enumerate(envelopes, 1):
        said = read_object(envelope.payload)
        subjects = list(_list_subjects(said))
        where = f"line {number} of {path}"
        kinds = said.get("_type"), said.get("predicateType")
        if kinds != (STATEMENT_TYPE, PREDICATE) or not subjects:
            report.add(
                "statement",
                where,
                expected=f"a statement of the type {STATEMENT_TYPE} about files, with {PREDICATE}",
                seen=" and ".join(str(kind)[:100] for kind in kinds)
                + (", about files" if subjects else ", of nothing"),
                do_next=FETCH_AGAIN,
            )
        for name, digest in subjects:
            if name not in sums:
                seen, expected = f"one about {name[:200]}", "a statement about a file of this release"
                report.add("statement", where, expected=expected, seen=seen, do_next=FETCH_AGAIN)
            elif digest != sums[name]:
                seen, expected = f"{digest[:100]}", f"sha256 {sums[name]} of {name}, as SHA256SUMS says"
                report.add("statement", where, expected=expected, seen=seen, do_next=FETCH_AGAIN)
            else:
                about.add(name)
    for name in sorted(sums.keys() - about - {SUMS})[:MOST_TOLD]:
        expected = f"a statement about {name}"
        report.add("statement", path, expected=expected, seen="none", do_next="Tell the project.")


def _list_subjects(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    listed = said.get("subject")
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            digest = each.get("digest")
            yield str(each.get("name")), str(digest.get("sha256") if isinstance(digest, dict) else None)

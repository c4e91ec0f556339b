# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a look from outside finds wrong: of what, what was expected, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import SlipwayError, count_of
from ..escape import escape_line

#: The kinds of findings, and what each says.
KINDS = {
    "unreachable": "something did not answer, or not wholly",
    "missing": "a file is named and is not there",
    "extra": "a file is there and is not named",
    "file": "a file has other bytes than SHA256SUMS says",
    "sums": "SHA256SUMS is not what was signed, or not what latest.json names",
    "signature": "a signature is not good, or by a key that does not count",
    "key": "a key has expired, is revoked, or is not there",
    "manifest": "manifest.json and SHA256SUMS contradict each other",
    "link": "a link leads to something else than the current release",
    "statement": "a statement is not about these files, or not there",
    "bill": "a bill of materials is not one, or is not listed",
    "signer": "too few signers say the same",
    "page": "a page, the list or the feed says something else than the files",
    "withdrawn": "a withdrawal is not told as it should be",
    "frozen": "what says which release is current is too old to be believed",
    "rollback": "an older release is given as the current one",
    "clock": "a clock is wrong",
    "index": "an index of an archive is not what was signed",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong; ``meaning`` says what it may come from where that is not clear from here."""

    kind: str
    subject: str
    expected: str
    seen: str
    do_next: str
    meaning: str = ""

    def describe(self) -> str:
        """All of it in one line."""
        words = [f"{self.kind}: {self.subject}: expected {self.expected}, found {self.seen}."]
        words += [self.meaning] if self.meaning else []
        return escape_line(" ".join([*words, self.do_next]))

    def as_dict(self) -> dict[str, str]:
        """The form in results and status files."""
        return {name: escape_line(value) for name, value in asdict(self).items()}


@dataclass
class Report:
    """What a look found, and how much it looked at; ``notes`` are what could not be looked at, as sentences."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, subject: str, *, expected: str, seen: str, do_next: str, meaning: str = "") -> None:
        """Tell of one thing that is wrong; the same is told once."""
        finding = Finding(kind, subject, expected, seen, do_next, meaning)
        if finding not in self.findings:
            self.findings.append(finding)

    def count(self, what: str, number: int = 1) -> None:
        """Count what was looked at."""
        self.counts[what] = self.counts.get(what, 0) + number

    def merge(self, other: Report) -> None:
        """Take in what another look found."""
        self.findings += [finding for finding in other.findings if finding not in self.findings]
        self.notes += [note for note in other.notes if note not in self.notes]
        for what, number in other.counts.items():
            self.count(what, number)

    def kinds(self) -> list[str]:
        """The kinds of what was found, each once."""
        return sorted({finding.kind for finding in self.findings})

    def as_dict(self) -> dict[str, Any]:
        """The form in results and status files."""
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": [escape_line(note) for note in self.notes],
            "counts": dict(self.counts),
        }


def refuse_findings(url: str, findings: Iterable[Finding]) -> None:
    """Fail with all that was found."""
    told = [finding.describe() for finding in findings]
    if told:
        raise SlipwayError(
            "verify",
            url,
            told[0] if len(told) == 1 else count_of(len(told), "finding"),
            do_next="Do not use what they name before it is explained.",
            findings=told,
        )

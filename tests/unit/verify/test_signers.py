# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The published keys of those who attest are enough to judge by, and what was done to them is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.signers import make_key_file, read_signers
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.files import Look
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.finding import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.site import Request, verify_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.trusted import Given
from tampering import attest
from verifying import Made, index, make_current, make_project, read_payload, release


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, dict[str, Made]]:
    """A release that three attest, with their keys beside it."""
    made = make_project(tmp_path_factory.mktemp("attested") / "made")
    release(made, "26.47", {"minimal.img": b"minimal" * 100})
    signers = attest(made)
    (made.public / "signers.asc").write_bytes(make_file(signers))
    return made, signers


def make_file(signers: dict[str, Made]) -> bytes:
    wanted = {name: {"fingerprint": each.fingerprint, "key": str(each.key)} for name, each in signers.items()}
    return make_key_file(read_signers(wanted))


def look_at(made: Made, *, every: bool = False) -> Report:
    with Look(Reader(made.url), Report()) as look:
        verify_site(look, Request(Given(made.fingerprint), every=every))
    return look.report


def test_a_site_with_the_signers_keys_needs_none_from_elsewhere(attested: tuple[Made, dict[str, Made]]) -> None:
    report = look_at(attested[0])
    assert report.findings == []
    assert (report.counts["signers"], report.notes) == (3, [])


def test_keys_that_were_changed_are_named(attested: tuple[Made, dict[str, Made]], tmp_path: Path) -> None:
    made, signers = attested
    mallory = make_project(tmp_path / "mallory")
    good, path = (made.public / "signers.asc").read_bytes(), made.public / "signers.asc"
    few = {name: signers[name] for name in ("ada", "ben")}
    try:
        for data, seen in (
            (good + mallory.key.read_bytes(), f"{mallory.fingerprint}, which is of no signer"),
            (make_file(few), f"nothing of {signers['cy'].fingerprint}, the key of cy"),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", "something else than keys"),
        ):
            path.write_bytes(data)
            told = [finding for finding in look_at(made).findings if finding.subject == "signers.asc"]
            assert [(finding.kind, finding.seen) for finding in told] == [("signer", seen)]
    finally:
        path.write_bytes(good)


def test_pages_may_name_who_attests_and_nobody_else(attested: tuple[Made, dict[str, Made]], tmp_path: Path) -> None:
    made, signers = attested[0].copied(tmp_path / "made"), attested[1]
    notes = made.public / "baserock-26.47.md"

    def look_with(text: str) -> tuple[list[str], list[str]]:
        notes.write_text(text)
        index(made)
        report = look_at(made, every=True)
        return [finding.seen for finding in report.findings if finding.kind == "page"], report.notes

    good = f"* ada: `{signers['ada'].fingerprint}`\n"
    assert look_with(good) == ([], [])
    stranger = "ABCD" * 10
    assert look_with(f"{good}* eve: `{stranger}`\n")[0] == [f"the key {stranger}"]
    # Of a release of before they may have attested it who do so no more.
    attests = read_payload(made.public / "latest.json")["attestations"]
    release(made, "26.48", {"minimal.img": b"more" * 100}, serial=4, attestations=attests)
    findings, told = look_with(f"{good}* eve: `{stranger}`\n")
    assert findings == []
    assert f"baserock-26.47.html: it names the key {stranger}, which is of nobody who attests releases now" in told
    make_current(made, "26.48", serial=5)
    assert len(look_with(f"{good}* eve: `{stranger}`\n")[0]) == 2, "where nobody attests there are no such keys"

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.verdict import (
    BUILT,
    DIFFERENT,
    SAME,
    TYPE,
    DebVerdict,
    Verdict,
    publish_verdict,
    read_verdicts,
    refuse_unreproduced,
)
from publishing import run_module

ONE, TWO = "1" * 64, "2" * 64
NAME = "tiny_1.0_amd64.deb"
DAY = 86400.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys") / "gnupg"
    make_key(directory, "Anne <anne@example.org>")
    return directory


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return find_signing_key(home).fingerprint


def make_verdict(now: str = ONE, where: tuple[str, ...] = ()) -> Verdict:
    deb = DebVerdict(NAME, ONE, ONE, now, where)
    return Verdict(BUILT, "bookworm", "tiny", "1.0", SAME if deb.is_same else DIFFERENT, "", (deb,), "build-1")


def test_only_what_has_the_same_bytes_everywhere_is_the_same() -> None:
    assert DebVerdict(NAME, ONE, ONE, ONE).is_same
    assert DebVerdict(NAME, "", ONE, ONE).is_same
    for digests in ((ONE, ONE, TWO), (TWO, ONE, ONE), (ONE, TWO, ONE), (ONE, ONE, "")):
        assert not DebVerdict(NAME, *digests).is_same


def test_a_verdict_is_told_in_a_sentence() -> None:
    assert make_verdict().tell() == f"tiny 1.0 for bookworm is the same, bit for bit: {NAME}."
    told = make_verdict(TWO, ("./usr/share/tiny/text: -a +b",)).tell()
    assert told == f"tiny 1.0 for bookworm is different: {NAME}: ./usr/share/tiny/text: -a +b."


def test_a_release_requires_the_newest_verdict_of_the_very_bytes(home: Path, key: str, tmp_path: Path) -> None:
    path, now = tmp_path / "bookworm/tiny/tiny_1.0_amd64.jsonl", time.time()

    def record(verdict: Verdict, ago: float) -> None:
        publish_verdict(path, verdict, gnupghome=home, fingerprint=key, moment=now - ago)

    def find(digest: str = ONE, *, signers: tuple[str, ...] = ()) -> str:
        try:
            refuse_unreproduced(
                {NAME: digest}, [tmp_path], gnupghome=home, signers=signers, max_days=30, now=now, on="1 deb"
            )
        except SlipwayError as error:
            return str(error)
        return ""

    assert "was not made once more by anybody whose word counts" in find()
    record(make_verdict(), 40 * DAY)
    assert "more than 30 days ago" in find()
    record(make_verdict(TWO), 20 * DAY)
    assert "came out with other bytes" in find()
    first = path.read_bytes()
    record(make_verdict(), 10 * DAY)
    assert path.read_bytes().startswith(first)
    assert find() == ""
    assert "was reproduced as 111111111111" in find(TWO)
    assert "none of those asked has signed it" in find(signers=("A" * 40,))
    assert find(signers=(key,)) == ""
    record(make_verdict(TWO), -DAY)  # who says what will be says nothing
    assert find() == ""


def test_a_verdict_that_was_changed_does_not_count(home: Path, key: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    publish_verdict(path, make_verdict(), gnupghome=home, fingerprint=key, moment=time.time())
    line = path.read_bytes()
    assert [one.verdict for one in read_verdicts([path], gnupghome=home)[0]] == [SAME]
    other = tmp_path / "other.jsonl"
    publish_verdict(other, make_verdict(TWO), gnupghome=home, fingerprint=key, moment=time.time())
    mixed = {**json.loads(line), "payload": json.loads(other.read_bytes())["payload"]}
    for data in (json.dumps(mixed).encode() + b"\n", line[:-9], b"no\n", b"\n"):
        path.write_bytes(data)
        found, faults = read_verdicts([path], gnupghome=home)
        assert (found, len(faults)) == ([], 1)
    assert json.loads(line)["payloadType"] == TYPE


def test_the_module_judges_files(home: Path, key: str, tmp_path: Path) -> None:
    deb = tmp_path / NAME
    deb.write_bytes(b"bytes")
    digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    options = {"debs": [str(deb)], "directories": [str(tmp_path)], "gnupghome": str(home)}
    assert "was not made once more" in run_module("deb_reproductions_info", options)["msg"]
    verdict = replace(make_verdict(), debs=(DebVerdict(NAME, digest, digest, digest),))
    publish_verdict(tmp_path / "a.jsonl", verdict, gnupghome=home, fingerprint=key, moment=time.time())
    assert run_module("deb_reproductions_info", options)["verdicts"] == 1

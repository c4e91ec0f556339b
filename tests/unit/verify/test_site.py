# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A site is verified from outside, and whatever was tampered with is named."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.files import Look
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.finding import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.site import Request, verify_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.trusted import read_given
from aptclient import served
from verifying import DAY, Made, append, index, make_current, make_project, release, state, withdraw

FILES = {"minimal.img": b"minimal" * 1000, "devel.img": b"devel" * 100_000}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_project(tmp_path_factory.mktemp("site") / "made")
    release(made, "26.46", FILES)
    release(made, "26.47", {**FILES, "devel.img": b"new" * 1000}, serial=2)
    return made


@pytest.fixture
def made(untouched: Made, tmp_path: Path) -> Made:
    return untouched.copied(tmp_path / "made")


def look_at(made: Made, url: str = "", *, key: str = "", now: float | None = None, **wanted: object) -> Report:
    reader = Reader(url or made.url, idle_timeout=5, clock=time.time if now is None else lambda: now)
    with Look(reader, Report()) as look:
        verify_site(look, Request(read_given(key or str(made.key)), **wanted))  # type: ignore[arg-type]
    return look.report


def tell(report: Report) -> str:
    return "\n".join(finding.describe() for finding in report.findings)


def test_a_good_site_has_no_findings_from_a_disk_or_a_server_by_key_or_fingerprint(untouched: Made) -> None:
    with served(untouched.public) as url:
        for where in (untouched.url, url):
            for key in (str(untouched.key), untouched.fingerprint.lower()):
                report = look_at(untouched, where, key=key, every=True)
                assert report.findings == [], tell(report)
                assert report.notes == []
                assert report.counts["releases"] == 2
                assert report.counts["files"] >= 6
                assert report.counts["statements"] == 8


def change_sums(made: Made) -> None:
    path = made.public / "baserock-26.47/SHA256SUMS"
    path.write_text(path.read_text().replace("a", "b"))


def sign_by_another(made: Made) -> None:
    other = make_project(made.top / "other")
    (made.public / "baserock-26.47/SHA256SUMS.asc").unlink()
    target = other.public / "SHA256SUMS"
    target.write_bytes((made.public / "baserock-26.47/SHA256SUMS").read_bytes())
    other.sign_file(target)
    (made.public / "baserock-26.47/SHA256SUMS.asc").write_bytes(target.with_name("SHA256SUMS.asc").read_bytes())
    (made.public / "release-key.asc").write_bytes(made.key.read_bytes() + other.key.read_bytes())


def point_back(made: Made) -> None:
    (made.public / ".current").unlink()
    (made.public / ".current").mkdir()
    (made.public / ".current/release").symlink_to("../baserock-26.46")


def roll_back(made: Made) -> None:
    make_current(made, "26.46", serial=1)


def state_another(made: Made) -> None:
    state(made, "26.47", {"something-else.img.gz": "0" * 64})


def drop(name: str) -> Callable[[Made], None]:
    return lambda made: (made.public / name).unlink()


def add(name: str) -> Callable[[Made], None]:
    return lambda made: append(made.public / name)


def write(name: str, data: bytes) -> Callable[[Made], object]:
    return lambda made: (made.public / name).write_bytes(data)


DEVEL = "baserock-26.47/baserock-26.47-devel.img.gz"


@pytest.mark.parametrize(
    ("tamper", "kinds", "subject"),
    [
        (add(DEVEL), {"file", "manifest"}, DEVEL),
        (change_sums, {"sums", "signature"}, "baserock-26.47/SHA256SUMS"),
        (sign_by_another, {"signature"}, "baserock-26.47/SHA256SUMS.asc"),
        (write("baserock-26.47/SHA256SUMS.asc", b"none"), {"signature"}, "baserock-26.47/SHA256SUMS.asc"),
        (point_back, {"link"}, "current/SHA256SUMS"),
        (roll_back, {"rollback"}, "latest.json"),
        (drop(DEVEL), {"missing"}, DEVEL),
        (write("baserock-26.47/more.img.gz", b"x"), {"extra"}, "baserock-26.47/more.img.gz"),
        (add("baserock-26.47/manifest.json"), {"file"}, "baserock-26.47/manifest.json"),
        (add(f"{DEVEL}.sha256"), {"sums"}, f"{DEVEL}.sha256"),
        (state_another, {"statement"}, "line 1 of baserock-26.47.intoto.jsonl"),
        (drop("baserock-26.47.intoto.jsonl"), {"statement"}, "baserock-26.47.intoto.jsonl"),
        (add("baserock-26.47.html"), {"page"}, "baserock-26.47.html"),
        (add("latest.json"), {"signature"}, "latest.json"),
        (drop("latest.json"), {"missing"}, "latest.json"),
        (drop("release-key.asc"), {"missing"}, "release-key.asc"),
        (write("release-key.asc", b"-----BEGIN PGP"), {"key"}, "release-key.asc"),
        (drop("baserock-26.47/SHA256SUMS"), {"missing"}, "baserock-26.47/SHA256SUMS"),
        (drop("baserock-26.47-devel.img.gz"), {"missing"}, "baserock-26.47-devel.img.gz"),
        (write("keys.json", b"{}"), {"key"}, "keys.json"),
    ],
)
def test_what_was_tampered_with_is_named(
    made: Made, tamper: Callable[[Made], object], kinds: set[str], subject: str
) -> None:
    tamper(made)
    report = look_at(made)
    assert kinds <= set(report.kinds()), tell(report)
    assert subject in {finding.subject for finding in report.findings}, tell(report)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("</main>", "<script>x</script></main>", "the element script"),
        ("</main>", '<img src="https://elsewhere.example.org/x.png"></main>', "src https://elsewhere"),
        ("</style>", "@import 'x';</style>", "something in a style"),
        (
            'href="baserock-26.47/baserock-26.47-devel',
            'href="//evil.example.org/baserock-26.47-devel',
            "//evil.example.org",
        ),
        ('<code class="digest">', '<code class="digest">0', "not this digest"),
    ],
)
def test_a_page_that_loads_or_says_something_else_is_named(made: Made, old: str, new: str, told: str) -> None:
    path = made.public / "baserock-26.47.html"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    report = look_at(made)
    assert report.kinds() == ["page"]
    assert told in tell(report)


def test_the_list_and_the_feed_are_compared(made: Made) -> None:
    path = made.public / "releases.json"
    path.write_text(
        path.read_text().replace('"current": "26.47"', '"current": "26.46"').replace("-devel.img", "-x.img")
    )
    feed = made.public / "releases.atom"
    feed.write_text(feed.read_text().replace('href="baserock-26.47.html"', 'href="https://evil.example.org/"'))
    report = look_at(made)
    assert {finding.subject for finding in report.findings} == {"releases.json", "releases.atom"}


def test_a_key_that_expired_or_was_revoked_is_told_as_such(tmp_path: Path) -> None:
    short = make_project(tmp_path / "short", expires="30d")
    release(short, "26.47", FILES, days=90)
    assert look_at(short).findings == []
    later = look_at(short, now=time.time() + 40 * DAY)
    assert later.kinds() == ["key"], tell(later)
    assert "expired on" in tell(later)
    certificate = short.home / f"openpgp-revocs.d/{short.fingerprint}.rev"
    text = certificate.read_text().replace(":-----BEGIN", "-----BEGIN")
    (short.public / "release-key.asc").write_text(short.key.read_text() + text[text.index("-----BEGIN PGP") :])
    revoked = look_at(short)
    assert revoked.kinds() == ["key"], tell(revoked)
    assert "revoked" in tell(revoked)


def test_a_frozen_mirror_and_a_clock_that_is_ahead_are_told_as_what_may_be_either(made: Made) -> None:
    late = look_at(made, now=time.time() + 40 * DAY)
    assert late.kinds() == ["frozen"], tell(late)
    assert "Either nothing newer came here" in tell(late)
    assert "or this machine's clock is ahead" in tell(late)


@pytest.mark.parametrize("days", [-365, 365])
def test_a_clock_a_year_wrong_is_told_and_nothing_else(made: Made, days: int) -> None:
    with served(made.public) as url:
        report = look_at(made, url, now=time.time() + days * DAY)
    assert report.kinds() == ["clock"], tell(report)
    assert "365 days" in tell(report)


def test_a_clock_a_year_behind_is_told_without_a_server(made: Made) -> None:
    report = look_at(made, now=time.time() - 365 * DAY)
    assert report.kinds() == ["clock"], tell(report)
    assert "365 days before" in tell(report)


def test_a_serial_below_the_last_one_is_a_rollback(made: Made) -> None:
    assert look_at(made, serials={"baserock": 2}).findings == []
    report = look_at(made, serials={"baserock": 3})
    assert report.kinds() == ["rollback"]
    assert "the serial 3, which was seen before" in tell(report)


def test_a_withdrawn_release_has_a_signed_tombstone_and_is_told_as_such_everywhere(made: Made) -> None:
    withdraw(made, "26.46")
    make_current(made, "26.47", serial=3, withdrawn=["26.46"])
    index(made)
    report = look_at(made)
    assert report.findings == [], tell(report)
    (made.public / "baserock-26.46.withdrawn.json").unlink()
    index(made)
    assert look_at(made).kinds() == ["missing", "withdrawn"]


def test_a_key_of_somebody_else_verifies_nothing(made: Made, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other")
    report = look_at(made, key=str(other.key))
    assert {"key", "signature", "statement"} <= set(report.kinds())
    assert look_at(made, key=other.fingerprint).kinds() != []


def test_an_empty_place_is_no_site(tmp_path: Path, untouched: Made) -> None:
    (tmp_path / "empty").mkdir()
    report = look_at(untouched, f"file://{tmp_path}/empty")
    assert "latest.json" in {finding.subject for finding in report.findings}


def test_hostile_names_lead_nowhere(made: Made) -> None:
    path = made.public / "baserock-26.47/SHA256SUMS"
    path.write_text(path.read_text() + f"{'0' * 64}  ../../secret\n")
    report = look_at(made)
    assert "'../../secret' is not usable" in tell(report)
    assert not any(finding.kind == "missing" for finding in report.findings)

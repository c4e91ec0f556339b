# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which mirrors count: copies of a public directory that serve the release, are slow, or lie."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import verifying
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.expected import list_release, read_expected
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.listing import (
    make_listing,
    read_listing,
    renew_listing,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.mirror.quorum import (
    LIES,
    SERVES,
    SLOW,
    Expected,
    Memory,
    Quorum,
    Verdict,
    expect_release,
    judge_mirror,
    name_faults,
    wait_for_quorum,
)
from publishing import run_module
from schemas import validate_payload

LABEL = "baserock-26.2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> verifying.Made:
    """A project with two releases, and the public directory as it was with the first."""
    found = verifying.make_project(tmp_path_factory.mktemp("made"))
    verifying.release(found, "26.1", {"a.img": b"one" * 1000})
    shutil.copytree(found.public, found.top / "before", symlinks=True)
    verifying.release(found, "26.2", {"a.img": b"two" * 1000}, serial=2)
    return found


@pytest.fixture
def mirror(made: verifying.Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.public, tmp_path / "mirror", symlinks=True))


def expect(made: verifying.Made) -> Expected:
    found = read_expected(made.public, "")
    assert found["label"] == LABEL
    files = list_release(made.public, LABEL)
    assert [file.as_dict() for file in files] == found["files"]
    return expect_release(LABEL, files, found["latest"].encode(), gnupghome=made.home)


def judge(made: verifying.Made, mirror: Path, seen: int | None = None, now: float | None = None) -> Verdict:
    return judge_mirror(f"file://{mirror}", expect(made), gnupghome=made.home, seen=seen, now=now)


def test_a_copy_serves_the_release(made: verifying.Made, mirror: Path) -> None:
    found = judge(made, mirror, seen=2)
    assert (found.state, found.reason, found.serial) == (SERVES, "", 2)


def test_a_mirror_that_has_the_release_before_is_slow(made: verifying.Made) -> None:
    found = judge(made, made.top / "before", seen=1)
    assert (found.state, found.serial) == (SLOW, None)
    assert found.reason == "its latest.json has the serial 1 still, and not 2"


def test_a_mirror_that_goes_back_lies(made: verifying.Made) -> None:
    found = judge(made, made.top / "before", seen=2)
    assert found.state == LIES
    assert "it was rolled back: its latest.json has the serial 1, and had 2 before" in found.reason


def _other_bytes(_made: verifying.Made, mirror: Path) -> None:
    verifying.append(mirror / LABEL / f"{LABEL}-a.img.gz")


def _other_sums(_made: verifying.Made, mirror: Path) -> None:
    path = mirror / LABEL / "SHA256SUMS"
    path.write_text(path.read_text().replace("a", "b"))


def _forged(_made: verifying.Made, mirror: Path) -> None:
    stranger = verifying.make_project(mirror.parent / "stranger")
    payload = verifying.read_payload(mirror / "latest.json")
    (mirror / "latest.json").write_bytes(stranger.sign(verifying.LATEST, {**payload, "serial": 3}))


def _no_json(_made: verifying.Made, mirror: Path) -> None:
    (mirror / "latest.json").write_text("<html>")


def _other_word(made: verifying.Made, mirror: Path) -> None:
    payload = verifying.read_payload(mirror / "latest.json")
    (mirror / "latest.json").write_bytes(made.sign(verifying.LATEST, {**payload, "withdrawn": ["26.1"]}))


def _gone(_made: verifying.Made, mirror: Path) -> None:
    (mirror / "latest.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_bytes, "it serves other bytes: baserock-26.2/baserock-26.2-a.img.gz"),
        (_other_sums, "it serves other bytes: baserock-26.2/SHA256SUMS"),
        (_forged, "the signature of its latest.json is not good"),
        (_no_json, "its latest.json is none"),
        (_other_word, "says something else under the serial 2"),
        (_gone, "it has no latest.json, which it had before"),
    ],
)
def test_a_mirror_that_lies_is_told_from_a_slow_one(
    made: verifying.Made, mirror: Path, spoil: Callable[[verifying.Made, Path], None], said: str
) -> None:
    spoil(made, mirror)
    found = judge(made, mirror, seen=2)
    assert found.state == LIES
    assert said in found.reason


def _short(_made: verifying.Made, mirror: Path) -> None:
    path = mirror / LABEL / f"{LABEL}-a.img.gz"
    path.write_bytes(path.read_bytes()[:7])


def _lacking(_made: verifying.Made, mirror: Path) -> None:
    (mirror / LABEL / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_short, "it has 7 of the"),
        (_lacking, "it does not have baserock-26.2/manifest.json"),
        (_gone, "no latest.json"),
    ],
)
def test_a_mirror_that_is_not_ready_yet_is_slow(
    made: verifying.Made, mirror: Path, spoil: Callable[[verifying.Made, Path], None], said: str
) -> None:
    spoil(made, mirror)
    found = judge(made, mirror)
    assert found.state == SLOW
    assert said in found.reason


def test_a_mirror_that_does_not_answer_is_slow(made: verifying.Made) -> None:
    found = judge_mirror("http://127.0.0.1:1/x", expect(made), gnupghome=made.home)
    assert (found.state, found.reason.partition(":")[0]) == (SLOW, "it does not answer")


def test_a_frozen_mirror_is_slow_when_its_word_is_over(made: verifying.Made, mirror: Path) -> None:
    found = judge(made, mirror, now=time.time() + 31 * 86400)
    assert found.state == SLOW
    assert "was to be believed until" in found.reason


def test_a_site_without_latest_is_judged_by_its_files(made: verifying.Made, mirror: Path) -> None:
    expected = expect_release(LABEL, list_release(made.public, LABEL), None, gnupghome=made.home)
    assert judge_mirror(f"file://{mirror}", expected, gnupghome=made.home).state == SERVES
    _other_bytes(made, mirror)
    assert judge_mirror(f"file://{mirror}", expected, gnupghome=made.home).state == LIES


def test_mirrors_are_not_judged_by_a_server_that_lies_itself(made: verifying.Made) -> None:
    with pytest.raises(SlipwayError, match="judge mirrors by latest.json"):
        expect_release(LABEL, [], (made.public / "latest.json").read_bytes(), gnupghome=made.top / "nobody")


def wait(looks: dict[str, list[Verdict]], needed: int, timeout: float = 100) -> tuple[Quorum, list[str]]:
    """The quorum when mirrors answer so from look to look, and who was asked."""
    asked: list[str] = []
    now = [0.0]

    def look(url: str) -> Verdict:
        asked.append(url)
        return looks[url].pop(0) if len(looks[url]) > 1 else looks[url][0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    done = wait_for_quorum(
        list(looks), look, needed=needed, timeout=timeout, interval=10, clock=lambda: now[0], sleep=sleep
    )
    return done, asked


GOOD, LATE, FALSE = Verdict("g", SERVES), Verdict("l", SLOW, "is late"), Verdict("f", LIES, "is false")


def test_it_waits_until_enough_serve_and_no_longer() -> None:
    done, asked = wait({"g": [GOOD], "l": [LATE, LATE, Verdict("l", SERVES)], "f": [FALSE]}, 2)
    assert done.reached
    assert asked == ["g", "l", "f", "l", "l"], "who serves, or lies, is not asked again"
    assert done.describe() == "2 of 3 mirrors serve it, and 2 must"
    done, asked = wait({"g": [GOOD], "l": [LATE]}, 1)
    assert (done.reached, asked, done.select(SLOW)) == (True, ["g", "l"], [LATE])


def test_it_gives_up_at_the_limit_and_names_who_is_late() -> None:
    done, asked = wait({"g": [GOOD], "l": [LATE]}, 2, timeout=25)
    assert not done.reached
    assert asked.count("l") == 4
    assert done.select(SLOW) == [LATE]


def test_it_does_not_wait_for_what_cannot_be() -> None:
    done, asked = wait({"g": [GOOD], "f": [FALSE], "l": [LATE]}, 3)
    assert not done.reached
    assert asked == ["g", "f", "l"]


def test_what_could_not_be_pushed_is_told_with_what_is_seen() -> None:
    assert name_faults([GOOD, LATE], {"g": "x", "l": "no\nroute"}) == [
        GOOD,
        Verdict("l", SLOW, "is late; it could not be pushed to: no route"),
    ]


def test_the_memory_keeps_the_highest_serial_and_since_when_it_serves(tmp_path: Path) -> None:
    memory = Memory.load(tmp_path / "state/mirrors.json")
    memory.note([Verdict("a", SERVES, serial=5), Verdict("b", SERVES, serial=5)], now=0)
    memory.save()
    memory = Memory.load(memory.path)
    memory.note([Verdict("a", SERVES, serial=6), Verdict("b", LIES, "x")], now=60)
    assert memory.seen == {
        "a": {"serial": 6, "since": "1970-01-01T00:00:00Z"},
        "b": {"serial": 5, "since": None},
    }
    memory.path.write_text("{")
    with pytest.raises(SlipwayError, match="Remove it and run again"):
        Memory.load(memory.path)


def test_the_list_stays_until_it_says_something_else_or_is_old(made: verifying.Made) -> None:
    def renew(present: bytes, now: float, verdicts: list[Verdict]) -> bytes:
        said = make_listing("baserock", LABEL, verdicts, {"g": "2026-01-01T00:00:00Z"}, now=now, days=30)
        return renew_listing(said, present, gnupghome=made.home, fingerprint=made.fingerprint, now=now)

    now = time.time()
    first = renew(b"", now, [GOOD, FALSE])
    said, signers = read_listing(first, gnupghome=made.home)
    validate_payload("mirrors", said)
    assert signers == [made.fingerprint]
    assert said["mirrors"] == [{"url": "g", "since": "2026-01-01T00:00:00Z"}]
    assert said["left_out"] == [{"url": "f", "reason": "is false"}]
    assert renew(first, now + 86400, [GOOD, FALSE]) == first
    assert renew(first, now + 16 * 86400, [GOOD, FALSE]) != first
    assert renew(first, now, [GOOD]) != first
    assert renew(b"spoilt", now, [GOOD, FALSE]) != b"spoilt"


def test_the_module_lists_and_says_who_is_left_out(made: verifying.Made, mirror: Path, tmp_path: Path) -> None:
    _other_bytes(made, mirror)
    found = read_expected(made.public, LABEL)
    options = {
        **found,
        "project": "baserock",
        "urls": [made.url, f"file://{mirror}"],
        "needed": 2,
        "memory": str(tmp_path / "memory.json"),
        "gnupghome": str(made.home),
    }
    with pytest.raises(AssertionError, match="is left out: it serves other bytes"):
        run_module("mirror_quorum", options)  # it warns
    assert json.loads((tmp_path / "memory.json").read_text())[made.url]["serial"] == 2
    done = run_module("mirror_quorum", {**options, "urls": [made.url], "needed": 1})
    assert (done["reached"], done["serving"], done["left_out"]) == (True, [made.url], [])
    again = run_module("mirror_quorum", {**options, "urls": [made.url], "needed": 1, "listing": done["content"]})
    assert not again["changed"]
    would = run_module("mirror_quorum", {**options, "urls": [made.url], "memory": "/nowhere"}, check=True)
    assert (would["changed"], would["content"]) == (False, "")

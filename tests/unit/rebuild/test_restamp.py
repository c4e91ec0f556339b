# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_deb
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.metapackage import Metapackage
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.stamp import Order, stamp_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild import verdict
from debs import make_deb
from publishing import run_module, tree
from tinysources import Archive as Shadow

MAINTAINER = "Release team <release@example.org>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shadow archive with two packages, and a release that they and a metapackage were stamped for."""
    place = tmp_path_factory.mktemp("site")
    shadow = Shadow(place)
    texts = {"one": {}, "two": {"Depends": "one (>= 1)"}}
    before = [
        make_deb(place / "debs", name, "1.0-0~bookworm", "amd64", fields=fields, files={f"usr/share/{name}": b"word\n"})
        for name, fields in texts.items()
    ]
    shadow.add_debs(*before)
    (place / "fixed").mkdir()
    stamped = stamp_debs(before, place / "stamped", order=Order(Rule("r1", "bookworm"), {"Mark": "tools"}))
    everything = Metapackage(
        *("tools-all", "1.0.0-r1", "all", MAINTAINER, "all packages of tools"),
        depends=[[deb.package, deb.stamped] for deb in stamped],
        fields={"Mark": "tools"},
    )
    (place / "stamped/tools-all_1.0.0-r1_all.deb").write_bytes(everything.build_deb())
    debs = tuple(read_deb(path) for path in sorted((place / "stamped").glob("*.deb")))
    key = find_signing_key(shadow.gnupghome).fingerprint
    archive = Archive(place / "fixed", "Slipway", "main", shadow.gnupghome, key)
    publication.publish_release(archive, publication.Release("tools", "r1", {"bookworm": {"amd64": debs}}))
    return place


@pytest.fixture
def restamp(site: Path) -> Callable[..., dict[str, Any]]:
    def act(*, check: bool = False, **words: str) -> dict[str, Any]:
        options = {
            "published": str(site / "fixed"),
            "shadow": str(site / "public"),
            "distribution": "tools",
            "release": "r1",
            "platforms": [{"name": "bookworm", "architectures": ["amd64"]}],
            "marker": "Mark",
            "gnupghome": str(site / "gnupg"),
            **words,
        }
        return run_module("deb_restamp", options, check=check)

    return act


def test_a_release_is_stamped_again_bit_for_bit_and_one_changed_byte_is_told(
    site: Path, restamp: Callable[..., dict[str, Any]]
) -> None:
    before = tree(site)
    (told,) = restamp(check=True)["verdicts"]
    assert tree(site) == before
    assert (told["verdict"], told["reason"], [deb["same"] for deb in told["debs"]]) == ("same", "", [True] * 3)

    assert restamp()["verdicts"][0]["verdict"] == "same"
    recorded = site / "fixed/reproduced/bookworm/tools-r1.jsonl"
    (found,), faults = verdict.read_verdicts([recorded], gnupghome=site / "gnupg")
    assert (found.verdict, faults, len(found.debs)) == ("same", [], 3)

    pool = site / "public/pool/main/o/one/one_1.0-0~bookworm_amd64.deb"
    whole = pool.read_bytes()
    other = make_deb(site / "other", "one", "1.0-0~bookworm", "amd64", files={"usr/share/one": b"worx\n"})
    pool.unlink()
    pool.write_bytes(other.read_bytes())
    (told,) = restamp()["verdicts"]
    assert told["verdict"] == "different"
    assert "usr/share/one: -word +worx" in told["text"]
    assert [deb["name"] for deb in told["debs"] if not deb["same"]] == ["one_1.0-r1~bookworm_amd64.deb"]
    pool.write_bytes(whole)
    assert len(recorded.read_text().splitlines()) == 2

    (told,) = restamp(marker="Other", check=True)["verdicts"]
    assert told["verdict"] == "different"

    index = site / "public/dists/bookworm/main/binary-amd64/Packages"
    kept = index.read_text()
    index.write_text(kept.replace("Version: 1.0-0~bookworm", "Version: 1.1-0~bookworm"))
    (told,) = restamp(check=True)["verdicts"]
    index.write_text(kept)
    assert told["verdict"] == "unavailable"
    assert "no longer what these were stamped from: one_1.0-r1~bookworm_amd64.deb, two_1.0-r1" in told["reason"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"release": "r9"}, "has no such release"),
        ({"shadow": "/nowhere"}, "Could not read the index /nowhere/dists/bookworm"),
        ({"template": "{nothing}"}, ""),
        ({"marker": "Package"}, "that field has a meaning of its own"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    site: Path, restamp: Callable[..., dict[str, Any]], words: dict[str, str], fault: str
) -> None:
    before = tree(site)
    answer = restamp(**words)
    assert answer["failed"], json.dumps(answer)
    assert fault in answer["msg"]
    assert tree(site) == before

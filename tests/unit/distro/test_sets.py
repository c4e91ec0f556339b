from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.exported import publish_export
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro import release
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.release import Names, Plan, read_generation
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.sets import (
    PackageSet,
    plan_set,
    read_directories,
    read_lists,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from debs import make_deb

NAMES = Names(maintainer="A <a@example.org>")
PLATFORMS = {"bookworm": ["amd64", "i386"]}


def plan(place: Path, *packages: str, excludes: dict[str, list[str]] | None = None, **variants: list[str]) -> Plan:
    wanted = PackageSet.read("tools", "r1", packages=packages, variants=variants)
    there, _digests = read_directories([f"{place}/{{platform}}"], PLATFORMS)
    return plan_set(wanted, there, excludes=excludes or {}, names=NAMES, published={}, inputs={})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for architecture in PLATFORMS["bookworm"]:
        make_deb(tmp_path / "bookworm", "greet", "1:1.2-1", architecture, fields={"Depends": "words (>= 1)"})
    make_deb(tmp_path / "bookworm", "words", "2-1", fields={"Source": "greet-words"})
    return tmp_path


def test_all_that_a_directory_has_is_a_set_locked_to_its_own_versions(place: Path) -> None:
    made = plan(place, both=["greet", "words"])
    assert made.findings == []
    assert {name: row["version"] for name, row in made.packages["bookworm/i386"].items()} == {
        "greet": "1:1.2-1-r1~bookworm",
        "tools-both": "1.0.0-r1~bookworm",
        "words": "2-1-r1~bookworm",
    }
    assert "Depends: words (= 2-1-r1~bookworm)\n" in "\n".join(made.platforms[0].stanzas["i386"])


def test_packages_are_named_by_their_source_too_and_every_fault_is_a_finding(place: Path) -> None:
    assert list(plan(place, "greet-words").packages["bookworm/amd64"]) == ["words"]
    (place / "bookworm/greet_1.2-1_i386.deb").unlink()
    found = plan(place, "greet=1.2-1", "words=3-1", "gone", both=["other"]).findings
    assert found == [
        "bookworm/amd64: greet is 1:1.2-1, and 1.2-1 is asked for",
        "bookworm/amd64: words is 2-1, and 3-1 is asked for",
        "bookworm/amd64: gone is missing",
        "bookworm/amd64: nothing would be released there",
        "bookworm/i386: words is 2-1, and 3-1 is asked for",
        "bookworm/i386: gone is missing",
        "bookworm/i386: greet is missing",
        "bookworm/i386: nothing would be released there",
        "bookworm/amd64: the variant both has other, which is not in the set",
        "bookworm/i386: the variant both has other, which is not in the set",
    ]
    assert plan(place).findings == ["bookworm: greet is there for amd64 only"]
    assert plan(place, excludes={"greet": ["bookworm-i386"]}).findings == []


def test_two_versions_in_a_directory_and_debs_for_another_architecture_are_refused(place: Path) -> None:
    make_deb(place / "bookworm", "words", "2-2")
    assert "bookworm/amd64: words is there twice, as words_2-1_all.deb and words_2-2_all.deb" in plan(place).findings
    make_deb(place / "bookworm", "greet", "1:1.2-1", "armhf")
    with pytest.raises(SlipwayError, match=r"greet_1.2-1_armhf.deb is for armhf, and bookworm for amd64, i386"):
        plan(place)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("a b", [], "'a b' is not a name"),
        ("tools", ["-o"], "'-o' is not the name of a package"),
        ("tools", ["greet="], "the version of greet is empty"),
    ],
)
def test_what_cannot_be_a_set_is_refused(name: str, words: list[str], said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        PackageSet.read(name, "r1", packages=words, variants={})


def test_of_an_apt_source_the_highest_version_is_taken_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    stanzas = (f"Package: greet\nVersion: {version}\nArchitecture: amd64\n" for version in ("1:1.9", "1:1.10", "2.0"))
    (tmp_path / "Packages").write_text("\n".join(stanzas))
    lists = {"amd64": [tmp_path / "Packages"]}
    for word, name in (("greet", "greet_1%3a1.10_amd64.deb"), ("greet=2.0", "greet_2.0_amd64.deb")):
        wanted = PackageSet.read("tools", "r1", packages=[word], variants={})
        assert [entry.path.name for entry in read_lists(lists, wanted, directory=tmp_path)["amd64"]] == [name]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    home = tmp_path_factory.mktemp("gnupg")
    return Signer(home, make_key(home, "Archive <archive@example.org>"))


class Shadow:
    """What reprepro exported, by hand, and published: one package in one version, in an index of each architecture."""

    def __init__(self, top: Path, signer: Signer) -> None:
        self.export, self.served, self.signer = top / "export", top / "served", signer

    def publish(self, version: str) -> None:
        for architecture in PLATFORMS["bookworm"]:
            deb = make_deb(self.export / "pool", "greet", version, architecture)
            index = self.export / f"dists/bookworm/main/binary-{architecture}/Packages"
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_text(
                f"Package: greet\nVersion: {version}\nArchitecture: {architecture}\n"
                f"Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {release.hash_file(deb)}\n"
            )
        fields = "Codename: bookworm\nArchitectures: amd64 i386\nComponents: main\n"
        (self.export / "dists/bookworm/Release").write_text(fields)
        publish_export(self.export, self.served, signer=self.signer)


@pytest.fixture
def shadow(tmp_path: Path, signer: Signer) -> Shadow:
    return Shadow(tmp_path, signer)


def test_one_generation_is_read_while_others_are_published_and_its_packages_stay(
    shadow: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow.publish("1-1")
    read = release.read_shadow
    moved: list[str] = []

    def read_slowly(*words: object, **more: object) -> object:
        if len(moved) < 2:  # while it is looked at, two others take its place, and it is gone
            for _each in range(2):
                moved.append(f"1-{len(moved) + 2}")
                shadow.publish(moved[-1])
        return read(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(release, "read_shadow", read_slowly)
    there, said = read_generation(shadow.served, PLATFORMS, component="main")
    assert said["generation"] == 3
    entries = [entry for entries in there["bookworm"].values() for entry in entries]
    assert {entry.version for entry in entries} == {"1-3"}
    shadow.publish("1-4")
    shutil.rmtree(shadow.export / "pool")
    assert all(entry.path.is_file() for entry in entries)
    assert read_generation(shadow.served, PLATFORMS, component="main", number=3)[1] == said
    assert read_generation(shadow.served, PLATFORMS, component="main")[1]["generation"] == 4


def test_a_generation_that_is_not_kept_is_refused_with_those_that_are(shadow: Shadow, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="nothing is published there"):
        read_generation(tmp_path / "none", PLATFORMS, component="main")
    for number in range(3):
        shadow.publish(f"1-{number + 1}")
    with pytest.raises(SlipwayError, match=r"Could not read generation 1 of .*: there is only 2 and 3"):
        read_generation(shadow.served, PLATFORMS, component="main", number=1)

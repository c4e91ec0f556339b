"""Source packages are what dpkg-source takes, the same bytes each time, and a fault holds up its own platform only."""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import source
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.debianize import ExtraFile, Style
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import clearsign_within
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import open_clearsigned
from publishing import kill_when_there, tree
from sourcepackages import MAINTAINER, build_source, parse_changelog, unpack, write_tree

STYLE = Style(maintainer="Ros Community <ros@example.org>", marker="WG-rosdistro")
REBUILD = "{version}~{platform}1"
Build = Callable[..., Path]
ROS = {
    "kind": "ros",
    "stack": "common_msgs",
    "version": "1.0.3",
    "package": "common-msgs",
    "maintainer": "Ken",
    "homepage": "https://example.org/",
    "description-brief": "Messages",
    "description-full": "Messages that many stacks share.\n\n.dots and ${HOME}",
    "depends": ["ros_core"],
    "rosdeps": {"bookworm": ["cmake", "libfoo-dev=1.2"], "trixie": ["cmake"]},
}
FORMATS = [
    ("3.0 (quilt)", "1:1.2-3", "xz"),
    ("3.0 (quilt)", "1.2-3", "gzip"),
    ("3.0 (quilt)", "1.2-3", "bzip2"),
    ("3.0 (native)", "1.2", "xz"),
    ("3.0 (native)", "1.2", "lzma"),
    ("1.0", "1.2", "gzip"),
    ("1.0", "1.2-0", "gzip"),
    ("1.0 with a diff", "1.2-3", "gzip"),
]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> source.Signing:
    home = tmp_path_factory.mktemp("keys") / "gnupg"
    key = make_key(home, "Archive <archive@example.org>")
    words = ["gpg", "--homedir", home, "--export", "--output", home.parent / "key.gpg"]
    subprocess.run(words, check=True, capture_output=True)
    return source.Signing(home, key)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Source packages of greeter, each built once; every test has a copy of its own."""

    @cache
    def build(version: str, form: str, compression: str) -> Path:
        return build_source(tmp_path_factory.mktemp("built"), "greeter", version, form, compression=compression)

    def copy(place: Path, version: str, form: str, compression: str = "xz") -> Path:
        dsc = build(version, form, compression)
        shutil.copytree(dsc.parent, place, symlinks=True)
        return place / dsc.name

    return copy


@pytest.fixture
def stack(tmp_path: Path) -> source.SourceOrder:
    place = tmp_path / "stack"
    (place / "src").mkdir(parents=True)
    (place / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.13)\nproject(common_msgs NONE)\n")
    (place / "src/messages.sh").write_text("#!/bin/sh\n")
    (place / "src/messages.sh").chmod(0o755)
    (place / "src/link").symlink_to("messages.sh")
    (place / "debian").mkdir()
    (place / "debian/control").write_text("Source: other\n")
    return source.SourceOrder(
        ROS,
        place,
        ("bookworm", "trixie"),
        distribution="cturtle",
        package="ros-{distribution}-{stack}",
        style=STYLE,
        moment=1_400_000_000,
    )


def make_dsc_order(dsc: Path, name: str, version: str, **more: Any) -> source.SourceOrder:
    control = {"kind": "dsc", "package": name, "version": version, "dsc": dsc.name, "rosdeps": {"bookworm": []}}
    return source.SourceOrder({**control, **more}, dsc.parent, ("bookworm",), version=REBUILD)


def make_debian_order(place: Path, name: str, version: str) -> source.SourceOrder:
    control = {"kind": "debian", "package": name, "version": version, "rosdeps": {"bookworm": []}}
    return source.SourceOrder(control, place, ("bookworm",), version=REBUILD)


def make_one(order: source.SourceOrder, place: Path, **more: Any) -> source.SourcePackage:
    outcome = source.make_sources([order], place, **more)[0]
    assert outcome.failed == []
    return outcome.made[0]


def find_reason(order: source.SourceOrder, place: Path) -> str:
    outcome = source.make_sources([order], place)[0]
    assert outcome.made == []
    return outcome.failed[0].reason


def read_tree(top: Path) -> dict[str, tuple[str, int]]:
    """All below a directory but the changelog, with modes."""
    found = tree(top)
    return {name: (said, (top / name).lstat().st_mode) for name, said in found.items() if name != "debian/changelog"}


def test_a_stack_becomes_a_package_for_each_platform_that_debians_tools_take(
    stack: source.SourceOrder, signing: source.Signing, tmp_path: Path
) -> None:
    outcome = source.make_sources([stack], tmp_path / "out", signing=signing)[0]
    assert [(one.platform, one.source, one.version) for one in outcome.made] == [
        ("bookworm", "ros-cturtle-common-msgs", "1.0.3-0~bookworm"),
        ("trixie", "ros-cturtle-common-msgs", "1.0.3-0~trixie"),
    ]
    one = outcome.made[0]
    names = [file["name"] for file in one.files]
    assert names == [f"ros-cturtle-common-msgs_1.0.3-0~bookworm.{end}" for end in ("tar.gz", "dsc")]
    keyring = signing.gnupghome.parent / "key.gpg"
    subprocess.run(["dscverify", "--no-default-keyrings", "--keyring", keyring, one.dsc], check=True)
    unpacked = unpack(Path(one.dsc), tmp_path / "unpacked")
    assert (unpacked / "src/link").readlink() == Path("messages.sh")
    assert (unpacked / "src/messages.sh").stat().st_mode & 0o777 == 0o755
    control = (unpacked / "debian/control").read_text()
    assert "Build-Depends: debhelper-compat (= 13),\n cmake,\n libfoo-dev (= 1.2),\n ros-cturtle-ros-core\n" in control
    assert "XBC-WG-rosdistro: cturtle\n" in control
    log = unpacked / "debian/changelog"
    assert parse_changelog(log, "Version") == "1.0.3-0~bookworm"
    assert parse_changelog(log, "Distribution") == "bookworm"
    assert parse_changelog(log, "Timestamp") == "1400000000"


def test_lintian_has_no_error_but_that_a_native_package_has_a_revision(
    stack: source.SourceOrder, tmp_path: Path
) -> None:
    one = make_one(replace(stack, platforms=("bookworm",)), tmp_path / "out")
    words = ["lintian", "--allow-root", "--fail-on=none", one.dsc]
    told = subprocess.run(words, check=True, capture_output=True, text=True)
    errors = [line for line in told.stdout.splitlines() if line.startswith("E:")]
    # The archive's versions end in -0~<platform>, and the format 1.0 takes them; what is built from it has no other.
    assert [re.sub(r" .*: ", " ", error) for error in errors] == [
        "E: malformed-debian-changelog-version 1.0.3-0~bookworm (for native) [debian/changelog:1]"
    ], told.stdout


def test_a_second_run_and_another_place_have_the_same_bytes(stack: source.SourceOrder, tmp_path: Path) -> None:
    first = source.make_sources([stack], tmp_path / "one")[0]
    before = tree(tmp_path / "one")
    assert first.changed
    assert not source.make_sources([stack], tmp_path / "one")[0].changed
    for path in sorted(stack.place.rglob("*"), reverse=True):
        os.utime(path, (2_000_000_000, 2_000_000_000), follow_symlinks=False)
    shutil.copytree(stack.place, tmp_path / "copy", symlinks=True)
    source.make_sources([replace(stack, place=tmp_path / "copy")], tmp_path / "two", jobs=1)
    assert tree(tmp_path / "two") == before


def test_nothing_of_the_callers_surroundings_comes_into_it(
    stack: source.SourceOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.make_sources([stack], tmp_path / "one")
    for name, value in {
        "SOURCE_DATE_EPOCH": "1",
        "GZIP": "-1",
        "XZ_OPT": "-0",
        "TAR_OPTIONS": "--mode=0777",
        "DEBEMAIL": "other@example.org",
        "DEB_VENDOR": "Ubuntu",
        "LC_ALL": "de_DE.UTF-8",
        "TZ": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
    umask = os.umask(0o077)
    try:
        source.make_sources([stack], tmp_path / "two")
    finally:
        os.umask(umask)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_check_mode_tells_the_digests_and_writes_nothing(
    stack: source.SourceOrder, signing: source.Signing, tmp_path: Path
) -> None:
    told = source.make_sources([stack], tmp_path / "out", signing=signing, write=False)[0]
    assert told.changed
    assert not (tmp_path / "out").exists()
    done = source.make_sources([stack], tmp_path / "out", signing=signing)[0]
    assert [one.files[:-1] for one in told.made] == [one.files[:-1] for one in done.made]
    assert told.made[0].files[-1]["sha256"] is None
    again = source.make_sources([stack], tmp_path / "out", signing=signing, write=False)[0]
    assert not again.changed
    assert [one.files for one in again.made] == [one.files for one in done.made]


def test_a_signature_that_is_right_stays_and_another_is_made_anew(
    stack: source.SourceOrder, signing: source.Signing, tmp_path: Path
) -> None:
    one = make_one(replace(stack, platforms=("bookworm",)), tmp_path, signing=signing)
    dsc = Path(one.dsc)
    signed = dsc.read_bytes()
    assert not make_one(replace(stack, platforms=("bookworm",)), tmp_path, signing=signing).changed
    for wrong in (signed.replace(b"Ros Community", b"Bad Community"), signed[:-50], b"", one.after.encode()[60:]):
        dsc.write_bytes(wrong)
        assert make_one(replace(stack, platforms=("bookworm",)), tmp_path, signing=signing).changed
        opened = open_clearsigned(dsc.read_bytes(), gnupghome=signing.gnupghome)
        assert opened is not None
        assert opened[0].fingerprint == signing.fingerprint
        assert opened[1] == open_clearsigned(signed, gnupghome=signing.gnupghome)[1]  # type: ignore[index]


def test_a_fault_of_one_platform_holds_up_no_other(stack: source.SourceOrder, tmp_path: Path) -> None:
    control = {**ROS, "rosdeps": {"bookworm": ["libfoo=1.*"], "trixie": []}}
    order = replace(stack, control=control, platforms=("bookworm", "trixie", "sid"))
    outcome = source.make_sources([order], tmp_path)[0]
    assert [one.platform for one in outcome.made] == ["trixie"]
    assert [(one.platform, one.reason) for one in outcome.failed] == [
        ("bookworm", "common_msgs: the rosdep 'libfoo=1.*' has a version with *, where a whole one is needed"),
        ("sid", "common_msgs does not support sid: its rosdeps are for bookworm, trixie"),
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "{version}"}, None),
        ({"version": "1.0"}, "Could not use the template '1.0': it lacks {version}. Use {version} and {platform}."),
        ({"package": "ros-{x}-{stack}"}, "it cannot be filled in"),
        ({"control": {**ROS, "kind": "rpm"}}, "the kind 'rpm' is none of ros, debian, dsc"),
        ({"control": {"kind": "ros", "stack": "a", "rosdeps": {}}}, "its control file has no version"),
        ({"control": {**ROS, "rosdeps": None}}, "its control file has no rosdeps"),
        ({"platforms": ("../x",)}, "'../x' is not the name of a platform"),
        ({"moment": 1_767_225_600_000}, "the date 1767225600000 is not one in seconds since 1970"),
        ({"style": Style(maintainer="x")}, "the maintainer 'x' is not of the form 'Name <mail@address>'"),
    ],
)
def test_what_cannot_be_made_for_any_platform_is_refused_before(
    stack: source.SourceOrder, tmp_path: Path, change: dict[str, Any], says: str | None
) -> None:
    if says is None:
        assert source.make_sources([replace(stack, **change)], tmp_path / "out")[0].made[0].version == "1.0.3"
        return
    with pytest.raises(SlipwayError, match=re.escape(says)):
        source.make_sources([replace(stack, **change)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "version"), [("Common Msgs", "1.0"), ("common_msgs", "1.0 x"), ("common_msgs", "x")])
def test_a_name_or_version_that_dpkg_would_not_take_is_a_fault(
    stack: source.SourceOrder, tmp_path: Path, name: str, version: str
) -> None:
    reason = find_reason(
        replace(stack, control={**ROS, "stack": name, "version": version}, platforms=("bookworm",)), tmp_path
    )
    assert "is not one for a source package" in reason or f"the version '{version}-0~bookworm'" in reason


def test_rules_and_files_are_those_that_are_given(stack: source.SourceOrder, tmp_path: Path) -> None:
    rules = "#!/usr/bin/make -f\nbuild:\n\ttrue\n"
    files = (ExtraFile("ros-cturtle-common-msgs.install", "a b\n"), ExtraFile("tests/run", "#!/bin/sh\n", program=True))
    style = replace(STYLE, rules=rules, files=files)
    one = make_one(replace(stack, style=style, platforms=("bookworm",)), tmp_path / "out")
    debian = unpack(Path(one.dsc), tmp_path / "x") / "debian"
    assert (debian / "rules").read_text() == rules
    assert (debian / "ros-cturtle-common-msgs.install").read_text() == "a b\n"
    assert (debian / "tests/run").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("form", "version", "compression"), FORMATS)
def test_of_a_source_package_only_the_changelog_changes(
    tmp_path: Path, packages: Build, signing: source.Signing, form: str, version: str, compression: str
) -> None:
    old = packages(tmp_path / "in", version, form, compression)
    order = make_dsc_order(old, "greeter", version)
    one = make_one(order, tmp_path / "out", signing=signing)
    assert one.version == f"{version}~bookworm1"
    for file in one.files:
        if ".orig." in file["name"]:
            assert Path(file["path"]).read_bytes() == (old.parent / file["name"]).read_bytes()
    keyring = signing.gnupghome.parent / "key.gpg"
    subprocess.run(["dscverify", "--no-default-keyrings", "--keyring", keyring, one.dsc], check=True)
    new, before = unpack(Path(one.dsc), tmp_path / "new"), unpack(old, tmp_path / "old")
    assert read_tree(new) == read_tree(before)
    log = new / "debian/changelog"
    assert log.read_bytes().endswith((before / "debian/changelog").read_bytes())
    assert parse_changelog(log, "Version") == one.version
    assert parse_changelog(log, "Version", number=1) == version
    assert (parse_changelog(log, "Distribution"), parse_changelog(log, "Urgency")) == ("bookworm", "high")
    assert parse_changelog(log, "Timestamp") == "1706781601"
    assert not make_one(order, tmp_path / "out", signing=signing).changed


@pytest.mark.parametrize(("form", "version", "compression"), FORMATS)
def test_what_is_made_is_what_dpkg_source_makes_of_the_same_tree(
    tmp_path: Path, packages: Build, form: str, version: str, compression: str
) -> None:
    old = packages(tmp_path / "in", version, form, compression)
    one = make_one(make_dsc_order(old, "greeter", version), tmp_path / "out")
    again = tmp_path / "again"
    again.mkdir()
    new = unpack(Path(one.dsc), again / "tree")
    for path in old.parent.glob("*.orig.*"):
        shutil.copy(path, again)
    words = ["-sn"] if form == "1.0" else [] if form.startswith("1.0") else [f"-Z{compression}"]
    subprocess.run(["dpkg-source", "-q", *words, "-b", new], cwd=again, check=True, capture_output=True)

    def drop_digests(path: Path) -> list[str]:
        lines = path.read_text().splitlines()
        return [re.sub(r"^ [0-9a-f]{32,64} [0-9]+ ", " ", line) for line in lines]

    assert drop_digests(Path(one.dsc)) == drop_digests(next(again.glob("*.dsc")))


def test_a_package_whose_version_stays_is_kept_byte_for_byte_and_signed_anew_only_if_asked(
    tmp_path: Path, packages: Build, signing: source.Signing
) -> None:
    old = packages(tmp_path / "in", "1.2-3", "3.0 (quilt)")
    order = replace(make_dsc_order(old, "greeter", "1.2-3"), version="{version}")
    one = make_one(order, tmp_path / "out", signing=signing)
    assert len(one.files) == 3
    for file in one.files:
        assert Path(file["path"]).read_bytes() == (old.parent / file["name"]).read_bytes()
    assert make_one(order, tmp_path / "out", signing=signing, resign=True).changed
    opened = open_clearsigned(Path(one.dsc).read_bytes(), gnupghome=signing.gnupghome)
    assert opened is not None
    assert opened[1] == old.read_bytes()
    assert not make_one(order, tmp_path / "out", signing=signing, resign=True).changed


def test_what_it_is_made_of_stays_where_it_is_below_the_results_too(tmp_path: Path, packages: Build) -> None:
    old = packages(tmp_path / "out/in", "1.2-3", "3.0 (quilt)")
    before = tree(old.parent)
    order = make_dsc_order(old, "greeter", "1.2-3", rosdeps={"bookworm": [], "trixie": []})
    outcome = source.make_sources([replace(order, platforms=("bookworm", "trixie"))], tmp_path / "out")[0]
    assert [one.platform for one in outcome.made] == ["bookworm", "trixie"]
    assert tree(old.parent) == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda place: flip(place / "greeter_1.2.orig.tar.gz"), "greeter_1.2.orig.tar.gz has the digest "),
        (lambda place: (place / "greeter_1.2.orig.tar.gz").unlink(), "greeter_1.2.orig.tar.gz is missing"),
        (lambda place: os.truncate(place / "greeter_1.2-3.debian.tar.xz", 9), "has 9 bytes instead of "),
        (lambda place: (place / "greeter_1.2-3.dsc").write_text(""), "the last line of its text is not ended"),
        (lambda place: (place / "greeter_1.2-3.dsc").unlink(), "No such file"),
    ],
)
def test_a_source_package_that_is_not_whole_is_refused(tmp_path: Path, packages: Build, spoil: Any, says: str) -> None:
    old = packages(tmp_path / "in", "1.2-3", "3.0 (quilt)")
    spoil(old.parent)
    assert says in find_reason(make_dsc_order(old, "greeter", "1.2-3"), tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("greeter_1.2.orig.tar.gz", "../greeter_1.2.orig.tar.gz", "is not a name for a file of greeter"),
        ("greeter_1.2.orig.tar.gz", "passwd_1.2.orig.tar.gz", "is not a name for a file of greeter"),
        ("Version: 1.2-3", "Version: 1.2-4", "which would be greeter_1.2-4.dsc"),
        ("Format: 3.0 (quilt)", "Format: 3.0 (git)", "it is in the format '3.0 (git)', and only 1.0"),
        ("Checksums-Sha256:", "Checksums-Sha512:", "it has no Checksums-Sha256"),
        ("Source: greeter", "Source: greeter\nSource: x", "has the field Source twice"),
    ],
)
def test_a_dsc_that_says_something_else_is_refused(
    tmp_path: Path, packages: Build, old: str, new: str, says: str
) -> None:
    dsc = packages(tmp_path / "in", "1.2-3", "3.0 (quilt)")
    dsc.write_text(dsc.read_text().replace(old, new))
    assert says in find_reason(make_dsc_order(dsc, "greeter", "1.2-3"), tmp_path / "out")


def test_a_control_file_of_another_package_or_with_other_digests_is_refused(tmp_path: Path, packages: Build) -> None:
    dsc = packages(tmp_path / "in", "1.2-3", "3.0 (quilt)")
    reason = find_reason(make_dsc_order(dsc, "greeter", "1.2-4"), tmp_path / "out")
    assert reason == "greeter: it is greeter 1.2-3, and its control file is of greeter 1.2-4"
    files = [{"name": "greeter_1.2.orig.tar.gz", "sha256": "0" * 64}]
    reason = find_reason(make_dsc_order(dsc, "greeter", "1.2-3", files=files), tmp_path / "out")
    assert re.search("names greeter_1.2.orig.tar.gz with the digest [0-9a-f]{64} instead of 0{64}", reason)


def test_a_signature_is_asked_for_where_there_is_a_keyring(
    tmp_path: Path, packages: Build, signing: source.Signing
) -> None:
    old = packages(tmp_path / "in", "1.2-3", "3.0 (quilt)")
    keyring = signing.gnupghome.parent / "key.gpg"
    armored = tmp_path / "key.asc"
    armored.write_bytes(export_public_key(signing.gnupghome, signing.fingerprint))
    order = replace(make_dsc_order(old, "greeter", "1.2-3"), keyring=keyring)
    assert find_reason(order, tmp_path / "out") == "greeter: greeter_1.2-3.dsc: it is not signed"
    text = old.read_bytes()
    with provide_environment(signing.gnupghome) as environment:
        signed = clearsign_within(environment, signing.fingerprint, text, on="it")
    old.write_bytes(signed)
    assert make_one(order, tmp_path / "out").version == "1.2-3~bookworm1"
    assert make_one(replace(order, keyring=armored), tmp_path / "out").version == "1.2-3~bookworm1"
    old.write_bytes(signed.replace(b"Maintainer: A", b"Maintainer: B"))
    says = "greeter: greeter_1.2-3.dsc: its signature is not a good one of an allowed key"
    assert find_reason(order, tmp_path / "out") == says
    old.write_bytes(text + signed)
    assert "neither one signed text nor a text without a signature" in find_reason(
        replace(order, keyring=None), tmp_path / "out"
    )
    other = make_key(tmp_path / "other", "Other <other@example.org>")
    foreign = tmp_path / "other.asc"
    foreign.write_bytes(export_public_key(tmp_path / "other", other))
    old.write_bytes(signed)
    assert find_reason(replace(order, keyring=foreign), tmp_path / "out") == says


@pytest.mark.parametrize(
    ("form", "version", "template", "says"),
    [
        ("3.0 (quilt)", "1.2-3", "{version}-0~{platform}", "would change the upstream version of 1.2-3"),
        (
            "3.0 (native)",
            "1.2",
            "{version}-0~{platform}",
            "has a revision, which the format 3.0 (native) does not allow",
        ),
        ("3.0 (native)", "1.2", "{version}_{platform}", "has a character that is not allowed"),
    ],
)
def test_a_template_that_the_format_does_not_allow_is_a_fault(
    tmp_path: Path, packages: Build, form: str, version: str, template: str, says: str
) -> None:
    dsc = packages(tmp_path / "in", version, form)
    order = replace(make_dsc_order(dsc, "greeter", version), version=template)
    assert says in find_reason(order, tmp_path / "out")


def test_a_hostile_tar_is_refused(tmp_path: Path, packages: Build) -> None:
    dsc = packages(tmp_path / "in", "1.2", "1.0")
    tarball = dsc.parent / "greeter_1.2.tar.gz"
    for evil, says in (
        ("../../evil", "which leads out of it"),
        ("greeter-1.2/debian/changelog", "has 2 debian/changelog"),
    ):
        with gzip.open(tarball, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(dsc.parent / "work/tree", arcname="greeter-1.2")
            tar.add(dsc.parent / "work/tree/debian/changelog", arcname=evil)
        text = dsc.read_text()
        found = source.describe_file(tarball)
        for length, digest in ((32, found.md5), (40, found.sha1), (64, found.sha256)):
            text = re.sub(rf"(?m)^ [0-9a-f]{{{length}}} [0-9]+ (\S+)$", rf" {digest} {found.size} \1", text)
        dsc.write_text(text)
        assert says in find_reason(make_dsc_order(dsc, "greeter", "1.2"), tmp_path / "out")


@pytest.mark.parametrize(
    ("form", "version", "names"),
    [
        ("3.0 (quilt)", "2:1.2-3", ["1.2.orig.tar.xz", "1.2-3~bookworm1.debian.tar.xz", "1.2-3~bookworm1.dsc"]),
        ("3.0 (native)", "1.2", ["1.2~bookworm1.tar.xz", "1.2~bookworm1.dsc"]),
        ("1.0", "1.2-1", ["1.2-1~bookworm1.tar.gz", "1.2-1~bookworm1.dsc"]),
        ("", "1.2", ["1.2~bookworm1.tar.gz", "1.2~bookworm1.dsc"]),
    ],
)
def test_a_tree_with_its_own_debian_is_packed_in_its_format(
    tmp_path: Path, form: str, version: str, names: list[str]
) -> None:
    top = write_tree(tmp_path / "in", "greeter", version, form, patched=form == "3.0 (quilt)")
    before = read_tree(top)
    order = make_debian_order(top, "greeter", version)
    one = make_one(order, tmp_path / "out")
    assert [file["name"] for file in one.files] == [f"greeter_{name}" for name in names]
    assert read_tree(top) == before
    assert not make_one(order, tmp_path / "out").changed
    new = unpack(Path(one.dsc), tmp_path / "new", *(["--skip-patches"] if form == "3.0 (quilt)" else []))
    if form == "3.0 (native)":  # dpkg-source leaves this file of git out of native packages
        before.pop(".gitignore")
    assert read_tree(new) == before
    log = new / "debian/changelog"
    assert parse_changelog(log, "Version") == f"{version}~bookworm1"
    assert parse_changelog(log, "Maintainer") == MAINTAINER
    assert log.read_bytes().endswith((top / "debian/changelog").read_bytes())
    kept = make_one(replace(order, version="{version}"), tmp_path / "kept")
    assert kept.version == version
    unpacked = unpack(Path(kept.dsc), tmp_path / "kept/x")
    assert (unpacked / "debian/changelog").read_bytes() == (top / "debian/changelog").read_bytes()


def test_the_next_revision_of_the_same_upstream_tree_has_the_same_upstream_tarball(tmp_path: Path) -> None:
    made = []
    for revision in ("1", "2"):
        top = write_tree(tmp_path / revision, "greeter", f"1.2-{revision}", "3.0 (quilt)")
        log = top / "debian/changelog"
        log.write_text(log.read_text().replace("01 Feb 2024", f"0{revision} Mar 2024"))
        one = make_one(make_debian_order(top, "greeter", f"1.2-{revision}"), tmp_path / revision / "out")
        made.append({file["name"]: file["sha256"] for file in one.files})
    assert made[0]["greeter_1.2.orig.tar.xz"] == made[1]["greeter_1.2.orig.tar.xz"]


@pytest.mark.parametrize(
    ("files", "links", "says"),
    [
        ({}, {"debian/changelog": "/etc/passwd"}, "its debian/changelog is not a plain file"),
        ({"debian/source/format": "3.0 (custom)\n"}, {}, "it is in the format '3.0 (custom)', and only"),
        ({"debian/changelog": "nothing\n"}, {}, "its debian/changelog does not begin with an entry"),
        ({"debian/control": "nothing\n"}, {}, "dpkg-source ended with status"),
    ],
)
def test_a_tree_that_cannot_be_packed_is_a_fault(
    tmp_path: Path, files: dict[str, str], links: dict[str, str], says: str
) -> None:
    top = write_tree(tmp_path / "in", "greeter", "1.2", "1.0", files=files)
    for name, target in links.items():
        (top / name).unlink()
        (top / name).symlink_to(target)
    assert says in find_reason(make_debian_order(top, "greeter", "1.2"), tmp_path / "out")


def test_a_tree_whose_debian_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in", "greeter", "1.2", "1.0")
    shutil.move(top / "debian", tmp_path / "elsewhere")
    (top / "debian").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    assert find_reason(make_debian_order(top, "greeter", "1.2"), tmp_path / "out").endswith("its debian is a link")
    assert tree(tmp_path / "elsewhere") == before


def test_options_of_the_tree_count_and_start_no_program(tmp_path: Path) -> None:
    options = {
        "debian/source/options": "tar-ignore = greet.sh\ncompression = gzip\n",
        "debian/source/local-options": "--format=3.0 (git)\n",
    }
    top = write_tree(tmp_path / "in", "greeter", "1.2", "3.0 (native)", files=options)
    one = make_one(make_debian_order(top, "greeter", "1.2"), tmp_path / "out")
    assert one.files[0]["name"] == "greeter_1.2~bookworm1.tar.gz"
    assert not (unpack(Path(one.dsc), tmp_path / "new") / "greet.sh").exists()


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ({"sha256": "{sha256}", "md5sum": "0" * 32}, None),
        ({"md5sum": "{md5}"}, None),
        ({"sha256": "0" * 64}, "its sha256 is {sha256} instead of " + "0" * 64),
        ({"md5sum": "0" * 32}, "its md5sum is {md5} instead of " + "0" * 32),
        ({"size": 1, "md5sum": "{md5}"}, "it has 7 bytes instead of 1"),
        ({}, "its control file has neither sha256 nor md5sum"),
    ],
)
def test_a_tarball_is_the_one_that_its_control_file_describes(
    tmp_path: Path, control: dict[str, Any], says: str | None
) -> None:
    (tmp_path / "a").write_bytes(b"tarball")
    found = source.describe_file(tmp_path / "a")
    values = {"sha256": found.sha256, "md5": found.md5}
    filled = {name: value.format(**values) if isinstance(value, str) else value for name, value in control.items()}
    assert source.find_tarball_fault(tmp_path / "a", filled) == (None if says is None else says.format(**values))


KILLED = """
import sys
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import source
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.debianize import Style
control, place, out, home, key = eval(sys.argv[1])
order = source.SourceOrder(control, Path(place), ("bookworm", "trixie"), distribution="cturtle", moment=1_400_000_000,
    package="ros-{distribution}-{stack}",
    style=Style(maintainer="Ros Community <ros@example.org>", marker="WG-rosdistro"))
source.make_sources([order], Path(out), signing=source.Signing(Path(home), key))
"""


def test_after_a_kill_at_any_step_the_next_run_completes_with_the_same_bytes(
    stack: source.SourceOrder, signing: source.Signing, tmp_path: Path
) -> None:
    (stack.place / "data").write_bytes(random.Random(1).randbytes(1_000_000))  # noqa: S311  # no secret
    source.make_sources([stack], tmp_path / "whole", signing=signing)
    wanted = {name: said for name, said in tree(tmp_path / "whole").items() if not name.endswith(".dsc")}
    out = tmp_path / "out"
    words = repr((ROS, str(stack.place), str(out), str(signing.gnupghome), signing.fingerprint))
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    steps = (".slipway-sources-*/*/ros-*", ".slipway-sources-*/*/*.tar.gz", "bookworm/*.tar.gz", "bookworm/*.dsc")
    for step in (*steps, "trixie/*.tar.gz", "trixie/*.dsc"):
        shutil.rmtree(out, ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-c", KILLED, words], env=env)
        kill_when_there(process, f"{out}/{step}")
        again = source.make_sources([stack], out, signing=signing)[0]
        assert again.failed == []
        # What a killed run had begun is hidden, and goes with the first run after the end of its last process.
        for _unused_too in range(50):
            assert not source.make_sources([stack], out, signing=signing)[0].changed
            left = tree(out)
            if sorted(left) == sorted(tree(tmp_path / "whole")):
                break
            assert all(name.startswith(".slipway-sources-") for name in left.keys() - tree(tmp_path / "whole").keys())
        assert {name: said for name, said in left.items() if not name.endswith(".dsc")} == wanted

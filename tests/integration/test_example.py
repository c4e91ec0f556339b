"""The README's first command, on the example distribution: really compiled systems of several architectures."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from integration.conftest import ROOT

LABEL = "baserock-26.47"
#: The ELF class and machine that a program of each architecture has.
MACHINES = {"x86_64": (2, 62), "x86_32": (1, 3), "armv7lhf": (1, 40)}
#: A user's environment: without what a make above these tests was told, and what these tests tell Ansible.
OTHERS = ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "ANSIBLE_STDOUT_CALLBACK")
USERS = {name: value for name, value in os.environ.items() if name not in OTHERS}


def architectures() -> list[str]:
    """armv7lhf where the kernel runs ARM programs, in a sandbox too."""
    try:
        entry = Path("/proc/sys/fs/binfmt_misc/qemu-arm").read_text()
    except OSError:
        entry = ""
    offers = entry.startswith("enabled") and "F" in entry.partition("flags: ")[2].split("\n")[0]
    return ["x86_64", "x86_32", *(["armv7lhf"] if offers else [])]


def make_release(state: Path, version: str, *, tags: str = "", **variables: object) -> str:
    words = [*([f"--tags {tags}"] if tags else []), *([f"-e '{json.dumps(variables)}'"] if variables else [])]
    arguments = [f"ARGS={' '.join(words)}"] if words else []
    done = subprocess.run(
        ["make", "release", f"VERSION={version}", *arguments],
        cwd=ROOT, env={**USERS, "SLIPWAY_STATE": str(state)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    state = tmp_path_factory.mktemp("example") / "state"
    return state, make_release(state, "26.47")


def test_systems_of_every_architecture_are_public_and_verify(released: tuple[Path, str]):
    state, text = released
    public = state / "download/public"
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=public, check=True)
    for architecture in architectures():
        for form in ("tar", "img"):
            assert (public / f"{LABEL}-minimal-system-{architecture}.{form}.gz").is_file()
            assert (public / f"baserock-current-minimal-system-{architecture}.{form}.gz").resolve().is_file()
    if "armv7lhf" not in architectures():
        print("armv7lhf is not tested here: this kernel runs no ARM programs (binfmt_misc)")
        assert "armv7lhf" in text


def test_the_programs_in_the_images_are_of_the_systems_architecture(released: tuple[Path, str]):
    state, _ = released
    for architecture in architectures():
        packed = state / f"download/public/{LABEL}-minimal-system-{architecture}.tar.gz"
        with tarfile.open(packed) as archive:
            found = {Path(member.name).name: member for member in archive if member.isreg() and "bin/" in member.name}
            for program in ("figlet", "lua", "tree"):
                header = archive.extractfile(found[program]).read(20)
                assert (header[4], int.from_bytes(header[18:20], "little")) == MACHINES[architecture], program


def test_the_x86_64_program_runs(released: tuple[Path, str], tmp_path: Path):
    state, _ = released
    packed = state / f"download/public/{LABEL}-minimal-system-x86_64.tar.gz"
    (tmp_path / "root").mkdir()
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path / "root"], check=True)
    done = subprocess.run(
        ["bwrap", "--bind", tmp_path / "root", "/", "--dev", "/dev", "/usr/bin/tree", "--version"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("tree v2")


def test_a_log_of_it_is_short_and_says_how_far_it_is_and_what_came_of_it(released: tuple[Path, str]):
    state, text = released
    lines = text.splitlines()
    # What tells how far a stage is comes every ten seconds, and more rarely as it lasts; make says where it is.
    stage, ended = r" ?\d+/\d+ ", r".* (unchanged|\d+ changed|FAILED)\b"
    news = [line for line in lines if re.match(rf"{stage}(?!{ended})|\.+$|make", line)]
    assert len(lines) - len(news) < 45
    assert [line for line in lines if len(line) > 80 and str(state) not in line and "[WARNING]" not in line] == []
    assert re.search(r"^ 5/\d+ +build +\d+/\d+, ", text, re.MULTILINE)
    assert f"{LABEL} is released." in lines
    assert f"  public  {state}/download/public/{LABEL}/" in text
    assert "  next    make release VERSION=26.48" in lines
    for log, words in (("build", "is built"), ("package", "compressing"), ("publish-" + LABEL, "is public, hashing")):
        assert words in (state / f"releases/26.47/logs/{log}.log").read_text()


def test_one_stage_alone_is_done_again_and_changes_nothing(released: tuple[Path, str]):
    text = make_release(released[0], "26.47", tags="publish")
    assert re.search(r"^ *(\d+)/\1 +publish +unchanged", text, re.MULTILINE)
    assert "  changed nothing" in text


def test_another_cold_release_gives_the_same_checksums(released: tuple[Path, str], tmp_path: Path):
    """One architecture of them: what is compiled is compiled in the same way for all."""
    state, _ = released
    others = architectures()[1:]
    make_release(
        *(tmp_path / "state", "26.47"),
        build_host_wanted_architectures=["x86_64"],
        release_allow_missing_arches=others,
        release_policy={},  # the same bytes have been judged
    )
    sums, again = (
        (top / "download/public" / LABEL / "SHA256SUMS").read_text().splitlines() for top in (state, tmp_path / "state")
    )
    of_systems = [line for line in sums if "-minimal-system-x86_64." in line]
    assert len(of_systems) == 4  # a tar, a disk, and bills of materials in two forms
    assert [line for line in again if "-system-" in line] == of_systems


def test_every_disk_was_started_before_it_became_public_and_the_report_has_its_console(released: tuple[Path, str]):
    state, _ = released
    directory = state / "releases/26.47"
    record = json.loads((directory / "records/gate.json").read_text())
    gates = record["outputs"]["gates"]
    booted = [each for each in gates if each["gate"] == "boot"]
    judged = {(each["architecture"], each["facts"]["firmware"]) for each in booted}
    pcs = {(architecture, firmware) for architecture in ("x86_64", "x86_32") for firmware in ("bios", "efi")}
    assert judged == pcs | {(architecture, "uboot") for architecture in architectures()[2:]}
    report = (directory / "report.html").read_text()
    assert {each["result"] for each in gates} == {"passed"}
    assert [each["architecture"] for each in gates if each["gate"] == "difference"] == architectures()
    for each in booted:
        assert each["facts"]["listening"] == []
        assert each["facts"]["report"][0]["version"] == "26.47"
        assert f"<summary>{Path(each['log']).name}</summary>" in report
    assert report.count("boot-report: id=minimal-system-") == len(judged)


def test_an_image_holds_the_release_it_is_of(released: tuple[Path, str]):
    state, _ = released
    packed = state / f"download/public/{LABEL}-minimal-system-x86_64.img.gz"
    with gzip.open(packed) as stream:
        disk = stream.read()
    assert disk[510:512] == b"\x55\xaa"
    assert b"IMAGE_VERSION=26.47" in disk or b'IMAGE_VERSION="26.47"' in disk

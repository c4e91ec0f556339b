# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Three hundred packages of Debian, in every compression, are stamped as one set, and Debian's own tools judge them."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks/deb_stamp"))
from fetch import download, drawn, known  # found by the path above

COUNT, LARGEST = 300, 60_000
#: jq needs libjq1 of its very version, and that libonig5.
CHAIN = ("jq", "libjq1", "libonig5")
#: dpkg-deb's options for packages that are packed again, in turn; the others stay as Debian made them.
PACKED = (
    ("-Znone",),
    ("-Zgzip",),
    ("-Zxz",),
    ("-Zzstd",),
    ("-Zgzip", "--no-uniform-compression"),
    ("-Zzstd", "--uniform-compression"),
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="dpkg installs as root only")


def said(*words: str) -> bytes:
    done = subprocess.run(words, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def members(deb: Path) -> list[str]:
    return said("ar", "t", str(deb)).decode().split()


def data(deb: Path) -> str:
    name = next(name for name in members(deb) if name.startswith("data."))
    return f"{name} {hashlib.sha256(said('ar', 'p', str(deb), name)).hexdigest()}"


def control_files(deb: Path) -> dict[str, tuple[object, ...]]:
    """Each file of the control archive with its mode, owner, date and content, in their order."""
    with tarfile.open(fileobj=io.BytesIO(said("dpkg-deb", "--ctrl-tarfile", str(deb)))) as tar:
        return {
            info.name.removeprefix("./"): (
                *(info.mode, info.uid, info.gid, info.mtime, info.type),
                tar.extractfile(info).read() if info.isreg() else None,
            )
            for info in tar
        }


def field(deb: Path, name: str) -> str:
    return said("dpkg-deb", "--field", str(deb), name).decode().strip()


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> list[Path]:
    """Real packages, every fifth of them packed again."""
    packages = known()
    names = drawn(packages, range(LARGEST), COUNT)
    paths = sorted({*download([*names, *CHAIN], packages, cache / "tests/debs")})
    directory = tmp_path_factory.mktemp("real")

    def packed(place: tuple[int, Path]) -> Path:
        number, path = place
        tree = directory / "trees" / path.stem
        said("dpkg-deb", "-R", str(path), str(tree))
        again = directory / path.name
        said("dpkg-deb", "-b", "--root-owner-group", *PACKED[number // 5 % len(PACKED)], str(tree), str(again))
        return again

    chosen = [place for place in enumerate(paths) if place[0] % 5 == 0]
    (directory / "trees").mkdir()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        again = {path.name: path for path in pool.map(packed, chosen)}
    return [again.get(path.name, path) for path in paths]


@pytest.fixture(scope="module")
def stamped(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Each package, and what became of it."""
    order = stamp.Order(Rule("r468", "bookworm"), {"X-Distribution": "real"})
    results = stamp.stamp_debs([str(deb) for deb in debs], tmp_path_factory.mktemp("stamped"), order=order)
    return {Path(result.source): Path(result.path) for result in results}


def test_the_set_has_every_compression_and_shape(stamped: dict[Path, Path]) -> None:
    assert len(stamped) >= COUNT
    names = {name for deb in stamped for name in members(deb)}
    assert {f"{kind}.tar{suffix}" for kind in ("control", "data") for suffix in ("", ".gz", ".xz", ".zst")} <= names
    inside = {name for deb in stamped for name in control_files(deb)}
    assert {"control", "md5sums", "postinst", "prerm", "conffiles", "triggers", "shlibs", "symbols"} <= inside


def test_dpkg_reads_each_and_only_its_control_file_is_new(stamped: dict[Path, Path]) -> None:
    def check(pair: tuple[Path, Path]) -> None:
        before, after = pair
        assert b"X-Distribution: real" in said("dpkg-deb", "--info", str(after))
        version = field(after, "Version")
        assert version.endswith("-r468~bookworm")
        said("dpkg", "--compare-versions", version, "gt", field(before, "Version"))
        assert data(before) == data(after)
        old, new = control_files(before), control_files(after)
        assert list(old) == list(new)
        assert {name for name in old if old[name] != new[name]} == {"control"}

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(check, stamped.items()))


def test_lintian_finds_no_error_that_the_package_did_not_have(stamped: dict[Path, Path]) -> None:
    def errors(debs: list[Path]) -> set[str]:
        words = ["lintian", "--no-cfg", "--allow-root", "--fail-on", "none", "--tag-display-limit", "0"]
        lines = said(*words, *(str(deb) for deb in debs)).decode().splitlines()
        return {re.sub(r"\s+\[.*", "", line) for line in lines if line.startswith("E: ")}

    pairs = sorted(stamped.items())[1:40:4]  # as Debian made them
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    assert errors(after) <= errors(before)


@needs_root
def test_a_chain_of_them_is_installed_and_works_and_a_mix_is_refused(stamped: dict[Path, Path], chroot: Path) -> None:
    chain = {name: next(pair for pair in stamped.items() if pair[0].name.startswith(f"{name}_")) for name in CHAIN}
    locked = field(chain["jq"][1], "Depends")
    assert f"libjq1 (= {field(chain['libjq1'][1], 'Version')})" in locked
    place = chroot / "srv/debs"
    place.mkdir()
    for pair in chain.values():
        for deb, kind in zip(pair, ("old", "new"), strict=True):
            shutil.copy(deb, place / f"{kind}-{deb.name.split('_')[0]}.deb")
    install = ["chroot", str(chroot), "apt-get", "-q", "-y", "install"]
    mix = [f"/srv/debs/{name}.deb" for name in ("new-jq", "old-libjq1", "old-libonig5")]
    refused = subprocess.run([*install, *mix], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "Depends: libjq1 (= " in refused.stdout
    said(*install, *(f"/srv/debs/new-{name}.deb" for name in CHAIN))
    assert said("chroot", str(chroot), "jq", "-n", "1 + 1").strip() == b"2"
    assert field_installed(chroot, "jq") == field(chain["jq"][1], "Version")


def field_installed(root: Path, package: str) -> str:
    return said("chroot", str(root), "dpkg-query", "--show", "--showformat=${Version}", package).decode()

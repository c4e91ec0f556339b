# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.package import (
    JOURNAL,
    Artifact,
    PackageResult,
    format_checksums,
    package_release,
    read_images,
    read_previous,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import compression
from hypothesis import given
from hypothesis import strategies as st
from publishing import content, put, run_module, tree

LABEL = "baserock-26.47"
NAMES = [f"{LABEL}-minimal-system-x86_64.tar", f"{LABEL}-minimal-system-x86_32.img", f"{LABEL}-empty.tar"]
FACTS = {"project": "baserock", "version": "26.47", "commit": "c" * 40, "cluster": "clusters/release.morph"}


@pytest.fixture(scope="module")
def gnupghome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("keys") / "gnupg"
    make_key(home, "Anne <anne@example.org>")
    return home


@pytest.fixture
def images(tmp_path: Path) -> list[dict[str, Any]]:
    sizes = (700_000, 300_001, 0)
    listed = put(tmp_path / "images", {name: content(name, size) for name, size in zip(NAMES, sizes, strict=True)})
    return [{**image, "system": "minimal", "architecture": "x86_64"} for image in listed]


Run = Callable[..., PackageResult]


@pytest.fixture
def run(tmp_path: Path, gnupghome: Path, images: list[dict[str, Any]]) -> Run:
    def do(**options: Any) -> PackageResult:
        arguments: dict[str, Any] = {
            "directory": tmp_path / "artifacts",
            "label": LABEL,
            "manifest": FACTS,
            "gnupghome": gnupghome,
            **options,
        }
        listed = arguments.pop("images", images)
        read = {name: arguments.pop(name) for name in ("method", "paths") if name in arguments}
        return package_release(tmp_path / "images", read_images(listed, **read), **arguments)

    return do


def outputs(made: PackageResult) -> dict[str, Any]:
    return {
        "files": [file.as_dict() for file in made.files],
        "sidecars": [file.as_dict() for file in made.sidecars],
        "signed_at": made.signed_at,
    }


def test_other_tools_accept_everything_that_is_made(run: Run, tmp_path: Path, gnupghome: Path) -> None:
    made = run()
    artifacts = tmp_path / "artifacts"
    packed = {f"{name}.gz" for name in NAMES}
    expected = {*packed, *(f"{name}.sha256" for name in packed), "manifest.json", "SHA256SUMS", "SHA256SUMS.asc"}
    assert {path.name for path in artifacts.iterdir()} == expected
    assert [file.name for file in made.files] == [*sorted(f"{name}.gz" for name in NAMES), "manifest.json"]
    assert made.made == sorted(tree(artifacts))
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=artifacts, check=True, capture_output=True, text=True
    )
    assert checked.stdout.count(": OK") == 4
    for name in NAMES:
        subprocess.run(["sha256sum", "--check", "--strict", f"{name}.gz.sha256"], cwd=artifacts, check=True)
        subprocess.run(["gzip", "--test", f"{name}.gz"], cwd=artifacts, check=True)
        assert gzip.decompress((artifacts / f"{name}.gz").read_bytes()) == (tmp_path / "images" / name).read_bytes()
    shutil.copytree(gnupghome, tmp_path / "k", ignore=shutil.ignore_patterns("S.*"))
    (tmp_path / "k").chmod(0o700)
    subprocess.run(
        ["gpg", "--homedir", "k", "--batch", "--verify", artifacts / "SHA256SUMS.asc", artifacts / "SHA256SUMS"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    for file in [*made.files, *made.sidecars]:
        data = (artifacts / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_manifest_describes_the_release_and_has_no_times(run: Run, tmp_path: Path) -> None:
    run()
    manifest = json.loads((tmp_path / "artifacts/manifest.json").read_text())
    image = (tmp_path / "images" / NAMES[0]).read_bytes()
    packed = (tmp_path / "artifacts" / f"{NAMES[0]}.gz").read_bytes()
    assert {key: manifest[key] for key in FACTS} == FACTS
    assert manifest["label"] == LABEL
    (entry,) = [entry for entry in manifest["files"] if entry["name"] == f"{NAMES[0]}.gz"]
    assert entry == {
        "name": f"{NAMES[0]}.gz",
        "size": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "system": "minimal",
        "architecture": "x86_64",
        "uncompressed": {"name": NAMES[0], "size": len(image), "sha256": hashlib.sha256(image).hexdigest()},
    }


def test_images_can_be_taken_as_they_are(run: Run, tmp_path: Path, images: list[dict[str, Any]]) -> None:
    """Each with the bytes, the name and the holes that it has; one of them is compressed all the same."""
    (tmp_path / "images/below").mkdir()
    sparse = tmp_path / "images/below/sparse.raw"
    with open(sparse, "wb") as stream:
        stream.write(b"begin")
        stream.truncate(64 << 20)
    digest = hashlib.file_digest(sparse.open("rb"), "sha256").hexdigest()
    stored = {"name": f"{LABEL}-sparse.raw", "size": 64 << 20, "sha256": digest}
    listed = [{**images[0], "compression": "gzip"}, images[1], stored]
    ready = read_images(listed, method="none", paths={stored["name"]: "below/sparse.raw"})
    assert [image.packed for image in ready] == [f"{images[0]['name']}.gz", images[1]["name"], stored["name"]]
    would = run(images=listed, method="none", paths={stored["name"]: "below/sparse.raw"}, check=True)
    made = run(images=listed, method="none", paths={stored["name"]: "below/sparse.raw"})
    assert would.made == made.made
    artifacts = tmp_path / "artifacts"
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=artifacts, check=True, capture_output=True)
    assert (artifacts / images[1]["name"]).read_bytes() == (tmp_path / "images" / images[1]["name"]).read_bytes()
    assert (artifacts / stored["name"]).stat().st_blocks * 512 < 4 << 20
    manifest = json.loads((artifacts / "manifest.json").read_text())
    assert [("uncompressed" in entry) for entry in manifest["files"]] == [True, False, False]
    assert manifest["compression"] == {"method": "gzip", "level": 6}
    # What is packaged needs its source no more, as long as it is there itself.
    shutil.rmtree(tmp_path / "images")
    gone = dict.fromkeys((each["name"] for each in listed), "")
    again = run(images=listed, method="none", paths=gone, previous=read_previous(outputs(made)))
    assert (again.made, outputs(again)) == ([], outputs(made))
    (artifacts / stored["name"]).unlink()
    with pytest.raises(SlipwayError, match="sparse.raw is neither there nor in .*artifacts any more"):
        run(images=listed, method="none", paths=gone, previous=read_previous(outputs(made)))


def test_an_image_taken_as_it_is_that_changed_is_caught(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "images" / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(SlipwayError) as caught:
        run(method="none")
    assert f"it changed since it was deployed: {NAMES[0]} has sha256" in str(caught.value)
    assert set(tree(tmp_path / "artifacts")) == {NAMES[1], NAMES[2]}
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SlipwayError, match="It is not a regular file"):
        run(method="none")
    with pytest.raises(SlipwayError, match="It is not a regular file"):
        run(method="gzip")


@pytest.mark.parametrize(
    ("values", "options", "why"),
    [
        (["a", "a.sha256"], {}, "a.sha256 and a would both be published as a.sha256"),
        (["SHA256SUMS"], {}, "SHA256SUMS and SHA256SUMS would both be published as SHA256SUMS"),
        (["manifest.json"], {}, "would both be published as manifest.json"),
        (["a"], {"paths": {"a": "../a"}}, "which is none below the directory"),
        (["a"], {"paths": {"a": "/a"}}, "which is none below the directory"),
        (["a"], {"method": "lzo"}, "not one of gzip, xz, zstd, none"),
    ],
)
def test_files_as_they_are_take_no_name_of_ours_and_come_from_one_directory(
    values: list[str], options: dict[str, Any], why: str
) -> None:
    listed = [{"name": name, "size": 1, "sha256": "0" * 64} for name in values]
    with pytest.raises(SlipwayError, match=why):
        read_images(listed, **{"method": "none", **options})


def test_get_url_of_ansible_understands_the_checksum_files(run: Run, tmp_path: Path) -> None:
    run()
    handler = partial(_Quiet, directory=str(tmp_path / "artifacts"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        for listing in ("SHA256SUMS", f"{NAMES[0]}.gz.sha256"):
            target, checksum = tmp_path / f"got-by-{listing}", f"checksum=sha256:{base}/{listing}"
            done = subprocess.run(
                [*ANSIBLE, "-m", "ansible.builtin.get_url", "-a", f"url={base}/{NAMES[0]}.gz dest={target} {checksum}"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert target.read_bytes() == (tmp_path / "artifacts" / f"{NAMES[0]}.gz").read_bytes()
        server.shutdown()


ANSIBLE = [
    *(
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "--inventory",
        "localhost,",
        "--connection",
        "local",
    ),
    *("--extra-vars", f"ansible_python_interpreter={sys.executable}"),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_again_makes_nothing_with_and_without_a_record(run: Run, tmp_path: Path) -> None:
    first = run()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "artifacts").iterdir()}
    for options in ({}, {"previous": read_previous(outputs(first))}, {"check": True}):
        again = run(**options)
        assert (again.made, again.files, again.sidecars) == ([], first.files, first.sidecars)
        assert (again.signed_at, again.signed_by) == (first.signed_at, first.signed_by)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "artifacts").iterdir()} == before


def test_check_mode_changes_nothing_and_says_what_would_be_made(run: Run, tmp_path: Path) -> None:
    before = tree(tmp_path)
    would = run(check=True)
    assert f"{NAMES[0]}.gz" in would.made
    assert "SHA256SUMS.asc" in would.made
    assert [(file.name, file.sha256) for file in would.files][-1] == ("manifest.json", None)
    assert tree(tmp_path) == before
    unknown = [{"name": name, "size": None, "sha256": None} for name in NAMES]
    assert read_images(unknown, known=False)[0].packed == f"{NAMES[2]}.gz"


@pytest.mark.parametrize(
    "name", [f"{NAMES[0]}.gz", f"{NAMES[0]}.gz.sha256", "manifest.json", "SHA256SUMS", "SHA256SUMS.asc"]
)
def test_a_missing_file_comes_back_with_the_recorded_bytes(run: Run, tmp_path: Path, name: str) -> None:
    first = run()
    before = tree(tmp_path / "artifacts")
    (tmp_path / "artifacts" / name).unlink()
    time.sleep(1.1)  # a signature made now would have another date
    would = run(previous=read_previous(outputs(first)), check=True)
    again = run(previous=read_previous(outputs(first)))
    assert would.made == again.made == [name]
    assert would.files == again.files
    assert outputs(again) == outputs(first)
    assert tree(tmp_path / "artifacts") == before


@pytest.mark.parametrize(
    "name", [f"{NAMES[0]}.gz", f"{NAMES[0]}.gz.sha256", "manifest.json", "SHA256SUMS", "SHA256SUMS.asc"]
)
def test_a_changed_file_is_named_with_both_digests(run: Run, tmp_path: Path, name: str) -> None:
    first = run()
    path = tmp_path / "artifacts" / name
    was = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    before = tree(tmp_path)
    with pytest.raises(SlipwayError) as caught:
        run(previous=read_previous(outputs(first)))
    for part in (name, was, now):
        assert part in str(caught.value)
    assert tree(tmp_path) == before


def test_an_image_that_changed_since_it_was_deployed_is_caught(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "images" / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(SlipwayError, match="1 of 3 images failed.*") as caught:
        run()
    assert "it changed since it was deployed" in str(caught.value)
    assert NAMES[0] in str(caught.value)
    left = set(tree(tmp_path / "artifacts"))
    assert left == {f"{NAMES[1]}.gz", f"{NAMES[2]}.gz", JOURNAL}


def test_a_missing_image_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "images" / NAMES[1]).unlink()
    with pytest.raises(SlipwayError, match=r"Could not compress .*No such file"):
        run()


def test_what_an_interrupted_run_compressed_is_not_compressed_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images" / NAMES[1]).rename(tmp_path / "aside")
    with pytest.raises(SlipwayError):
        run()
    (tmp_path / "aside").rename(tmp_path / "images" / NAMES[1])
    compressed = []
    compress = compression.compress_file
    monkeypatch.setattr(
        compression,
        "compress_file",
        lambda source, *rest, **more: compressed.append(source) or compress(source, *rest, **more),
    )
    run()
    assert [path.name for path in compressed] == [NAMES[1]]
    assert not (tmp_path / "artifacts" / JOURNAL).exists()


def test_leftovers_without_journal_or_record_are_not_trusted(run: Run, tmp_path: Path) -> None:
    put(tmp_path / "artifacts", {f"{NAMES[0]}.gz": gzip.compress(b"something else"), ".x.0a1b2c3d.tmp": b"half"})
    made = run()
    assert f"{NAMES[0]}.gz" in made.made
    assert (
        gzip.decompress((tmp_path / "artifacts" / f"{NAMES[0]}.gz").read_bytes())
        == (tmp_path / "images" / NAMES[0]).read_bytes()
    )
    assert not (tmp_path / "artifacts/.x.0a1b2c3d.tmp").exists()


def test_other_files_than_those_on_record_are_drift(run: Run, images: list[dict[str, Any]]) -> None:
    first = run()
    with pytest.raises(SlipwayError) as caught:
        run(images=images[:-1], previous=read_previous(outputs(first)))
    assert f"{images[-1]['name']}.gz is on record, but is not a file of this release now" in str(caught.value)


def test_bytes_made_again_that_differ_from_the_record_are_drift(run: Run, tmp_path: Path) -> None:
    record = outputs(run())
    shutil.rmtree(tmp_path / "artifacts")
    with pytest.raises(SlipwayError) as caught:
        run(level=1, previous=read_previous(record))
    assert "made again it comes out with other bytes than its record says" in str(caught.value)
    assert not (tmp_path / "artifacts" / f"{NAMES[0]}.gz").exists()


def test_a_signature_by_another_key_is_replaced_before_the_record_and_refused_after(run: Run, tmp_path: Path) -> None:
    first = run()
    other = tmp_path / "other"
    fingerprint = make_key(other, "Ben <ben@example.org>")
    with pytest.raises(SlipwayError, match="not a good signature by any key in"):
        run(gnupghome=other, previous=read_previous(outputs(first)))
    again = run(gnupghome=other, fingerprint=fingerprint)
    assert again.made == ["SHA256SUMS.asc"]
    assert again.signed_by == fingerprint != first.signed_by


def test_a_recorded_signature_stays_when_another_key_signs_from_now_on(
    run: Run, tmp_path: Path, gnupghome: Path
) -> None:
    first = run()
    both = tmp_path / "both"
    shutil.copytree(gnupghome, both, ignore=shutil.ignore_patterns("S.*"))
    newer = make_key(both, "Ben <ben@example.org>")
    again = run(gnupghome=both, fingerprint=newer, previous=read_previous(outputs(first)))
    assert (again.made, again.signed_by) == ([], first.signed_by)


@pytest.mark.parametrize("name", ["../x", "a/b", "-rf", ".hidden", "a b", "a\nb", "ä", "", "x" * 211, None, 7])
def test_a_hostile_name_is_refused_in_one_sentence(name: object) -> None:
    with pytest.raises(SlipwayError, match="is not usable as the name of a release file"):
        read_images([{"name": name, "size": 1, "sha256": "0" * 64}])


def test_each_image_is_compressed_as_it_says(run: Run, tmp_path: Path, images: list[dict[str, Any]]) -> None:
    named = {image["name"]: image for image in images}
    named[NAMES[0]] |= {"compression": "xz", "compression_level": 1}
    named[NAMES[1]] |= {"compression": "zstd"}
    made = run()
    names = {file.name for file in made.files}
    assert {f"{NAMES[0]}.xz", f"{NAMES[1]}.zst"} <= names
    for name, tool in ((f"{NAMES[0]}.xz", "xz"), (f"{NAMES[1]}.zst", "zstd")):
        plain = subprocess.run([tool, "-dc", tmp_path / "artifacts" / name], check=True, capture_output=True).stdout
        assert plain == (tmp_path / "images" / name.rpartition(".")[0]).read_bytes()
    manifest = json.loads((tmp_path / "artifacts" / "manifest.json").read_text())
    said = {file["name"]: file.get("compression") for file in manifest["files"]}
    assert said[f"{NAMES[0]}.xz"] == {"method": "xz", "level": 1}
    assert said[f"{NAMES[1]}.zst"] == {"method": "zstd", "level": 10}
    assert run().made == []
    # The bytes of the first time come back, or it is drift.
    (tmp_path / "artifacts" / f"{NAMES[0]}.xz").unlink()
    assert run(previous=read_previous(outputs(made))).made == [f"{NAMES[0]}.xz"]


def test_a_level_that_a_method_has_not_is_named() -> None:
    image = {"name": "x", "size": 1, "sha256": "0" * 64, "compression": "zstd", "compression_level": 25}
    with pytest.raises(SlipwayError, match="x has the level 25, which zstd has not"):
        read_images([image])


def test_every_fault_of_the_list_is_named_at_once() -> None:
    good = {"name": "x", "size": 1, "sha256": "0" * 64}
    with pytest.raises(SlipwayError) as caught:
        read_images([good, good, {**good, "name": "y", "sha256": "abc"}, {**good, "name": "z", "size": -1}])
    assert len(caught.value.findings) == 3


@pytest.mark.parametrize(
    ("method", "variable"), [("gzip", "GZIP"), ("gzip", "PIGZ"), ("xz", "XZ_OPT"), ("zstd", "ZSTD_CLEVEL")]
)
def test_the_same_bytes_on_any_number_of_cores(
    tmp_path: Path, method: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "-1")
    # Beyond what a program compresses by itself there is something to do for several threads.
    for size in (0, 1, 131_072, 131_073, 3_000_000, {"gzip": 3_000_001, "xz": 26_000_000, "zstd": 20_000_000}[method]):
        source = tmp_path / "source"
        part = content("cores", min(size, 1_000_000))
        source.write_bytes((part * -(-size // max(1, len(part))))[:size])
        made = {
            threads: compression.compress_file(
                source, tmp_path / f"{threads}.gz", method=method, level=1, threads=threads, accept=lambda _: None
            )
            for threads in (1, 2, 3, 8)
        }
        os.utime(source, (1, 1))
        words = [sys.executable, "-c", PINNED, source, tmp_path / "pinned.gz", method]
        pinned = subprocess.run(words, check=True, capture_output=True, text=True)
        assert {one.sha256 for one in made.values()} == {pinned.stdout.strip()}
        assert {one.source_sha256 for one in made.values()} == {hashlib.sha256(source.read_bytes()).hexdigest()}
        data = (tmp_path / "2.gz").read_bytes()
        assert (made[2].size, made[2].sha256) == (len(data), hashlib.sha256(data).hexdigest())
        if method == "gzip":
            assert data[3:8] == bytes(5), "neither name nor time are in the header"
        with (tmp_path / "2.gz").open("rb") as packed:
            plain = subprocess.run([method, "-dc"], stdin=packed, capture_output=True, check=True).stdout
        assert hashlib.sha256(plain).hexdigest() == made[2].source_sha256


PINNED = f"""
import os, sys
from pathlib import Path
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
sys.path[:0] = {sys.path!r}
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import compression
source, target, method = sys.argv[1:]
made = compression.compress_file(
    Path(source), Path(target), method=method, level=1, threads=1, accept=lambda _: None
)
print(made.sha256)
"""


def test_a_missing_pigz_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in ("gpg", "gpgconf", "gpg-agent"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "/nowhere")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SlipwayError, match="pigz was not found"):
        run()


def test_the_progress_file_tells_what_is_compressed(run: Run, tmp_path: Path) -> None:
    run(progress=Progress(tmp_path / "log"))
    said = (tmp_path / "log").read_text().splitlines()
    assert f"compressing {NAMES[0]} (0.7 MB)" in (tmp_path / "log").read_text()
    assert said[-1].endswith("4/4 SHA256SUMS is signed [1000001/1000001 bytes]")


def test_the_module_reports_what_changed_and_is_unchanged_again(
    tmp_path: Path, gnupghome: Path, images: list[dict[str, Any]]
) -> None:
    arguments: dict[str, Any] = {
        "images": str(tmp_path / "images"),
        "files": [{"name": image["name"], "size": None, "sha256": None} for image in images],
        "directory": str(tmp_path / "artifacts"),
        "label": LABEL,
        "manifest": FACTS,
        "gnupghome": str(gnupghome),
        "progress": str(tmp_path / "log"),
    }
    before = tree(tmp_path)
    would = run_module("release_package", arguments, check=True)
    assert would["changed"]
    assert f"{NAMES[0]}.gz\n" in would["diff"]["after"]
    assert tree(tmp_path) == before
    refused = run_module("release_package", arguments)
    assert "has the digest None, which is not a SHA-256" in refused["msg"]
    assert tree(tmp_path) == before
    made = run_module("release_package", {**arguments, "files": images})
    assert made["changed"]
    assert made["tools"]["pigz"]
    again = run_module("release_package", {**arguments, "files": images, "previous": made})
    assert not again["changed"]
    assert [again[key] for key in ("files", "sidecars", "signed_by")] == [
        made[key] for key in ("files", "sidecars", "signed_by")
    ]
    refused = run_module("release_package", {**arguments, "files": images, "level": 10})
    assert refused["failed"]


KILLED = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import package as packaging
top, home, images = Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
packaging.package_release(top / "images", packaging.read_images(images), directory=top / "artifacts",
                  label="baserock-26.47", manifest={"commit": "c"}, gnupghome=home)
"""


def test_killed_at_any_moment_a_rerun_makes_the_same_package(
    tmp_path: Path, gnupghome: Path, images: list[dict[str, Any]]
) -> None:
    undisturbed = package_release(
        tmp_path / "images",
        read_images(images),
        directory=tmp_path / "undisturbed",
        label=LABEL,
        manifest={"commit": "c"},
        gnupghome=gnupghome,
    )
    words = [sys.executable, "-c", KILLED, json.dumps(sys.path), str(tmp_path), str(gnupghome), json.dumps(images)]
    started = time.monotonic()
    subprocess.run(words, check=True)
    whole = time.monotonic() - started
    for part in range(8):
        shutil.rmtree(tmp_path / "artifacts", ignore_errors=True)
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        time.sleep(whole * (0.3 + part / 10))
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(words, check=True)
        again = tree(tmp_path / "artifacts")
        expected = tree(tmp_path / "undisturbed")
        assert again.keys() == expected.keys()
        assert {name for name in again if again[name] != expected[name]} <= {"SHA256SUMS.asc"}
        assert verify_signature(
            gnupghome, data=tmp_path / "artifacts/SHA256SUMS", signature=tmp_path / "artifacts/SHA256SUMS.asc"
        )
    assert undisturbed.signed_by


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,20}", fullmatch=True), st.binary(max_size=20), min_size=1
    )
)
def test_sums_are_sorted_lines_of_digest_two_spaces_and_name(contents: dict[str, bytes]) -> None:
    files = [Artifact(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    lines = format_checksums(files).decode().splitlines()
    assert [line[66:] for line in lines] == sorted(contents)
    assert all(line[:66] == f"{hashlib.sha256(contents[line[66:]]).hexdigest()}  " for line in lines)

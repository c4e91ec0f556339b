"""A release of the tiny distribution is made in a release VM and read from outside; by hand: make test-release-vm."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from integration.conftest import APPLETS, git
from releasevm import ensure_image, make_inventory, release_vm

LABEL = "baserock-26.47"
DEFINITIONS = "trove/public/baserock/baserock/definitions.git"
STATE = "/srv/slipway"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A disk that is kept, with a Trove on it: a bare repository of the tiny distribution."""
    top, work = tmp_path / "state", tmp_path / "definitions"
    shutil.copytree(Path(__file__).parents[1] / "integration/definitions", work)
    binaries = work / "files/base/bin"
    binaries.mkdir(parents=True)
    shutil.copy("/bin/busybox", binaries / "busybox")
    for applet in APPLETS:
        (binaries / applet).symlink_to("busybox")
    git("init", "-q", "-b", "master", cwd=work)
    git("add", "-A", cwd=work)
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "Tiny", cwd=work)
    (top / DEFINITIONS).parent.mkdir(parents=True)
    git("clone", "-q", "--bare", str(work), str(top / DEFINITIONS), cwd=tmp_path)
    disk = tmp_path / "state.img"
    words = ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "slipway-state", "-d", top, disk, "8G"]
    subprocess.run(words, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    return disk


def test_a_release_is_made_inside_and_verifies_outside(
    cache: Path, state: Path, tmp_path: Path, record_property: pytest.RecordProperty
):
    inventory = make_inventory(
        release_project="baserock",
        release_definitions_path="baserock/baserock/definitions",
        release_definitions_url=f"{STATE}/{DEFINITIONS}",
        release_definitions_mirror_url=f"{STATE}/{DEFINITIONS.replace('public', 'local')}",
        release_promote_backend="git",
        release_promote_toplevel=f"{STATE}/trove/local",
        release_build_options={"x86_64": {"arch": "x86_64"}, "x86_32": {"arch": "x86_32"}},
        release_preflight_public_directory=f"{STATE}/download/public",
        release_preflight_min_free_gib=1,
        release_publish_timeout=0,
        release_announce_timeout=0,
        coordinator_min_free_gib=1,
        build_host_architectures=["x86_64", "x86_32"],
        build_host_emulation=False,
    )
    with release_vm(tmp_path / "machine", ensure_image(cache), inventory) as vm:
        began = time.monotonic()
        done = vm.start("--state", str(state), "--disk", "8G", timeout=3000)
        assert done.returncode == 0, done.stdout + done.stderr
        record_property("seconds until it is ready", time.monotonic() - began)
        assert (
            vm.ssh("carol", f"sudo chown -R slipway: {STATE}/trove").returncode == 0
        )  # which is a host's of its own else
        began = time.monotonic()
        done = vm.ssh("alice", "release 26.47", timeout=6000)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        assert f"{LABEL} is released" in done.stdout
        record_property("seconds of the release", time.monotonic() - began)
        for command in (f"ls {STATE}/gnupg", f"cat {STATE}/.ssh/id_ed25519", "sudo -n -u slipway id"):
            assert vm.ssh("alice", command).returncode != 0, command
        assert vm.command("stop").returncode == 0

    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("download", "trove", "releases"):
        subprocess.run(["/usr/sbin/debugfs", "-R", f"rdump /{name} {kept}", state], check=True, capture_output=True)
    public = kept / "download/public"
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=public / LABEL, check=True, capture_output=True
    )
    assert done.stdout.count(b": OK") >= 3
    keyring = tmp_path / "key.gpg"
    subprocess.run(["gpg", "--dearmor", "-o", keyring, public / "release-key.asc"], check=True)
    words = ["gpgv", "--keyring", keyring, "SHA256SUMS.asc", "SHA256SUMS"]
    subprocess.run(words, cwd=public / LABEL, check=True, capture_output=True)
    head = git("-c", "safe.directory=*", "rev-parse", f"refs/heads/baserock/release/{LABEL}", cwd=kept / DEFINITIONS)
    assert git("-c", "safe.directory=*", "rev-parse", f"refs/tags/{LABEL}^{{commit}}", cwd=kept / DEFINITIONS) == head

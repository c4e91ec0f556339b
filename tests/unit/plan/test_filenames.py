"""What the names of files say, as mkosi, live-build, osbuild and Debian's kernels have them."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.filenames import (
    Facts,
    find_facts,
    find_location_fault,
    find_other_version,
    name_public_file,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.names import make_names

NAMES = make_names("acme", "1.0")


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("image.raw", "acme-1.0-image.raw"),
        ("live-image-amd64.hybrid.iso", "acme-1.0-live-image-amd64.hybrid.iso"),
        ("acme-1.0-amd64.iso", "acme-1.0-amd64.iso"),
        ("acme-1.0.iso", "acme-1.0.iso"),
        ("acme_1.0_x86-64.raw", "acme_1.0_x86-64.raw"),
        ("acme-1.0.1.iso", "acme-1.0-acme-1.0.1.iso"),
        ("acme-1.0rc1.iso", "acme-1.0-acme-1.0rc1.iso"),
        ("acme-1.05.iso", "acme-1.0-acme-1.05.iso"),
        ("SHA256SUMS", "acme-1.0-SHA256SUMS"),
        ("manifest.json", "acme-1.0-manifest.json"),
        ("current", "acme-1.0-current"),
    ],
)
def test_the_label_is_put_before_a_name_that_does_not_begin_with_this_very_version(location: str, name: str) -> None:
    assert name_public_file(location, NAMES) == name


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        ("image.raw", Facts("image", "", "rawdisk")),
        ("image.raw.zst", Facts("image", "", "rawdisk")),
        ("acme_1.0_x86-64.raw", Facts("acme", "x86_64", "rawdisk")),
        ("server_1.0_arm64.efi", Facts("server", "aarch64", "efi")),
        ("image.root-x86-64-verity.raw", Facts("image", "x86_64", "partition")),
        ("image.esp.raw", Facts("image", "", "partition")),
        ("image.vmlinuz", Facts("image", "", "kernel")),
        ("image.initrd", Facts("image", "", "initramfs")),
        ("live-image-amd64.hybrid.iso", Facts("live-image", "x86_64", "iso")),
        ("live-image-i386.contents", Facts("live-image-i386.contents".replace("-i386", ""), "i386", "")),
        ("qcow2/disk.qcow2", Facts("qcow2-disk", "", "qcow2")),
        ("vmlinuz-6.1.0-18-amd64", Facts("vmlinuz-6.1.0-18", "x86_64", "kernel")),
        ("initrd.img-6.1.0-18-armhf", Facts("initrd.img-6.1.0-18", "armhf", "initramfs")),
        ("ppc64el/rootfs.tgz", Facts("rootfs", "ppc64le", "tar")),
        ("acme-1.0-x86_64.raw", Facts("acme", "x86_64", "rawdisk")),
        ("amd64.iso", Facts("acme", "x86_64", "iso")),
        ("farm64.iso", Facts("farm64", "", "iso")),
        ("notes.txt", Facts("notes.txt", "", "")),
    ],
)
def test_a_name_says_system_architecture_and_type(path: str, facts: Facts) -> None:
    assert find_facts(path, NAMES) == facts


@pytest.mark.parametrize(
    ("location", "version"),
    [
        ("acme-1.0.iso", None),
        ("acme_1.0_x86-64.raw", None),
        ("acme_0.9.raw", "0.9"),
        ("acme-1.0.1-arm64.iso", "1.0.1"),
        ("acme-1.0rc1.iso", "1.0rc1"),
        ("acme-1.0.7z", None),
        ("acme-12.raw", None),
        ("acme.raw", None),
        ("other-2.0.raw", None),
    ],
)
def test_a_name_that_begins_with_another_version_is_known(location: str, version: str | None) -> None:
    assert find_other_version(location, NAMES) == version


@pytest.mark.parametrize("location", ["a b", "a\nb", "a\\b", "-rf", ".x", "ä", "\udcff", "a;b", "$(x)", "*", "x" * 192])
def test_a_hostile_name_is_refused_in_one_sentence(location: str) -> None:
    fault = find_location_fault(location, name_public_file(location, NAMES))
    assert fault is not None
    assert "is not usable as the name of a release file" in fault
    assert find_location_fault("x" * 191, name_public_file("x" * 191, NAMES)) is None

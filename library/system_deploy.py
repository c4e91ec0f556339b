#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: system_deploy
short_description: Create the files of a release from the systems that were built
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one file for each deployment of a release's plan, without root, and with the same bytes in every run.
  - A file is written elsewhere, hashed, and moved into place whole. What an interrupted run left is removed.
    Identifiers inside a file are derived from O(label).
  - The type C(tar) is the system's tree. The type C(initramfs) is the tree as a compressed cpio archive. The type
    C(rawdisk) is a disk of the size C(DISK_SIZE) with a partition table and the tree in an ext4 file system. With
    C(BOOT) it has a partition to boot from, with the kernel of the tree. C(qcow2) is the same for qemu.
  - The types C(squashfs) and C(erofs) are the tree in a file system that is only read. The type C(kernel) is the kernel
    that is in the tree, and C(uki) a program for UEFI of it, the initramfs and the command line.
  - The setting C(PERMISSIONS) of a deployment names a file in the system's tree that lists modes and owners, a line
    C(<octal mode> <uid> <gid> <path>) for each file that is not root's or not of the usual mode. Paths are
    percent-encoded. Files that the system does not have are passed over.
  - A subsystem's file is put into its system's tree at the subsystem's location.
  - The os-release of a tree gets C(IMAGE_ID), which is the system's name, and C(IMAGE_VERSION).
requirements:
  - bsdtar for C(initramfs)
  - genimage and e2fsprogs for C(rawdisk) and C(qcow2); mtools for those that boot, and syslinux if that is by BIOS
  - qemu-img for C(qcow2), mksquashfs for C(squashfs), mkfs.erofs and fakeroot for C(erofs)
extends_documentation_fragment:
  - slipway.release.plan.deployments
  - slipway.release.buildstream
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  artifacts:
    description: The build artifact of each system, by the system's name.
    type: dict
    required: true
  version:
    description: The release's version.
    type: str
    required: true
  epoch:
    description: The time of every file in what is made, in seconds since 1970.
    type: int
    required: true
  timeout:
    description: Seconds to wait for one system to be taken out of the cache, or pulled from an artifact server.
    type: int
    default: 3600
attributes:
  check_mode:
    details: Verifies the files in O(previous). O(artifacts) may be empty.
"""

EXAMPLES = r"""
- name: Create a disk image
  slipway.release.system_deploy:
    deployments:
      - name: minimal-system-x86_64
        system: systems/minimal-system-x86_64.bst
        system_name: minimal-system-x86_64
        architecture: x86_64
        type: rawdisk
        location: minimal-system-x86_64.img
        file: baserock-26.47-minimal-system-x86_64.img
        settings: {DISK_SIZE: 1G}
    artifacts:
      minimal-system-x86_64: "example/systems-minimal-system-x86_64/{{ key }}"
    directory: /srv/slipway/releases/26.47/images
    label: baserock-26.47
    version: "26.47"
    epoch: 1795219200
"""

RETURN = r"""
files:
  description: The file of each deployment. In check mode, those that are there already.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The name of the file., type: str}
    size: {description: Its size in bytes., type: int}
    sha256: {description: Its SHA-256 in hexadecimal., type: str}
    deployment: {description: The deployment's name., type: str}
    system: {description: The system's file., type: str}
    architecture: {description: The system's architecture., type: str}
    type: {description: The deployment's type., type: str}
tools:
  description: The versions of the programs that made the files, when some were made.
  returned: success
  type: dict
  sample: {genimage: "16"}
made:
  description: The names of the files that were made now, or would be made.
  returned: success
  type: list
  elements: str
"""

import signal
from pathlib import Path
from typing import Any

from ..module_utils.slipway.buildstream.build import check_out
from ..module_utils.slipway.buildstream.command import Project
from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.image.deploy import Deployment, Release, deploy_files, read_tool_versions
from ..module_utils.slipway.module.options import BUILDSTREAM, PLAN_DEPLOYMENTS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.release.artifact import read_artifacts
from ..module_utils.slipway.release.making import describe_made


def main() -> None:
    # Interrupted, the module ends at once like on any other signal, and what it started ends with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_module(
        act,
        {
            **PLAN_DEPLOYMENTS,
            **BUILDSTREAM,
            **PROGRESS,
            "artifacts": {"type": "dict", "required": True},
            "version": {"type": "str", "required": True},
            "epoch": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 3600},
        },
    )


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    require_fields(
        params["deployments"],
        ("name", "system", "system_name", "architecture", "type", "location", "file"),
        attempted="deploy",
        on=params["label"],
        do_next="Give the deployments as the release's plan has them.",
    )
    deployments = [Deployment.from_plan(entry) for entry in params["deployments"]]
    config = params["config"] and Path(params["config"])

    def take_out(artifact: str, archive: Path, scratch: Path) -> None:
        project = Project(scratch, config, params["bst"])
        check_out(project, artifact, archive=archive, timeout=params["timeout"])

    there, made = deploy_files(
        deployments,
        release=Release(params["label"], params["version"], params["epoch"]),
        directory=Path(params["directory"]),
        artifacts=params["artifacts"],
        checkout=take_out,
        previous={each.name: each for each in read_artifacts(params["previous"], attempt="read the record of")},
        progress=Progress(params["progress"]) if write else None,
        write=write,
    )
    files = describe_made(params["deployments"], there)
    versions = {} if not write or not made else read_tool_versions(deployments)
    return {"changed": bool(made), "files": files, "made": made, "tools": versions}


if __name__ == "__main__":
    main()

#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_vm_image
short_description: Make the disk of a machine that makes releases
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Puts Slipway's checkout, Ansible and the build tools into a Debian base, and makes a disk of it that boots.
  - Needs no root. What is installed is installed in a sandbox of bubblewrap, by the base's own Python.
  - The disk is the file C(release-vm-<12 hex digits>.img), by its SHA-256. It is made anew when something that goes in
    has changed, and the old one stays.
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  directory:
    description: Where disks are. It is made if absent.
    type: path
    required: true
  base:
    description:
      - The base, an archive that M(slipway.release.debian_base) made, with a kernel, an initramfs, systemd, sshd and
        Python.
      - In check mode it may be empty, for one that is not made yet.
    type: path
    required: true
  checkout:
    description: The checkout of Slipway that goes in.
    type: path
    required: true
  files:
    description: A directory that is laid over the tree, with root as the owner.
    type: path
    required: true
  program:
    description: The program that runs in the machine.
    type: path
    required: true
  version:
    description: Slipway's version, for people.
    type: str
    required: true
  epoch:
    description: Seconds since 1970 that become the time of every file.
    type: int
    required: true
  disk_size:
    description: The size of the disk, such as V(3G). The machine grows it to that of the device that it is on.
    type: str
    default: 3G
  format:
    description: The form of the disk.
    type: str
    choices: [raw, qcow2]
    default: raw
  boot:
    description: By which firmware it boots.
    type: str
    choices: [bios, efi, both]
    default: both
  kernel_args:
    description: The kernel's command line, without C(root=).
    type: str
    default: ""
  constraints:
    description:
      - The versions of the build tools, as the text of a constraints file. Without it those that this checkout is
        tested with.
    type: str
    default: ""
  wheels:
    description: A directory of wheels, for hosts without a package index.
    type: path
    default: ""
  pip_args:
    description: More arguments for pip.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Create the disk of the release VM
  slipway.release.release_vm_image:
    directory: /var/cache/slipway/vm
    base: /var/cache/slipway/bases/bookworm-release-vm-0123456789ab.tar.gz
    checkout: /home/me/slipway
    files: /home/me/slipway/roles/release_vm/files/image
    program: /home/me/slipway/roles/release_vm/files/vm.py
    version: 1.0.0
    epoch: 1700000000
"""

RETURN = r"""
image:
  description:
    - The path, size in bytes, bytes on the disk (stored), sha256 and format of the disk.
    - In check mode it is empty if there is none.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.vm.image import Wanted, ensure_image
from ..module_utils.slipway.vm.software import Software


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    checkout = Path(options["checkout"])
    if not options["base"] and not write:
        return {"changed": True, "image": {}}
    wanted = Wanted(
        base=Path(options["base"]),
        software=Software(checkout, options["constraints"], options["wheels"], tuple(options["pip_args"])),
        files=Path(options["files"]),
        program=Path(options["program"]),
        version=options["version"],
        epoch=options["epoch"],
        format=options["format"],
        settings={
            "DISK_SIZE": options["disk_size"],
            "BOOT": options["boot"],
            "BOOT_SIZE": "64M",
            "KERNEL_ARGS": options["kernel_args"],
        },
    )
    progress = Progress(options["progress"] if write else None)
    image = ensure_image(wanted, Path(options["directory"]), progress=progress, write=write)
    made = image.pop("made")
    return {"changed": made or not image, "image": {key: value for key, value in image.items() if key != "key"}}


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path", "required": True},
            "base": {"type": "path", "required": True},
            "checkout": {"type": "path", "required": True},
            "files": {"type": "path", "required": True},
            "program": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "epoch": {"type": "int", "required": True},
            "disk_size": {"type": "str", "default": "3G"},
            "format": {"type": "str", "choices": ["raw", "qcow2"], "default": "raw"},
            "boot": {"type": "str", "choices": ["bios", "efi", "both"], "default": "both"},
            "kernel_args": {"type": "str", "default": ""},
            "constraints": {"type": "str", "default": ""},
            "wheels": {"type": "path", "default": ""},
            "pip_args": {"type": "list", "elements": "str", "default": []},
            **PROGRESS,
        },
    )


if __name__ == "__main__":
    main()

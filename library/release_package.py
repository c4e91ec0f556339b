#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_package
short_description: Compress, list, and sign the files of a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes C(<image>.gz), C(.xz) or C(.zst) of every image, with the same bytes on every run and on any number of cores.
    With O(compression=none) images are taken as they are, with their names.
  - Adds C(manifest.json), C(SHA256SUMS) over all of these, one C(<file>.sha256) each, and C(SHA256SUMS.asc), a detached
    OpenPGP signature.
  - An image with another digest than O(files) says is a failure. Compressed bytes are hashed as they are written.
  - What is there already is hashed again. Bytes other than those on record are a failure that names both digests.
    What is missing is made again, and must come out with the same bytes; for this a lost signature gets its
    previous date again.
extends_documentation_fragment:
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.progress
  - slipway.release.attributes
options:
  images:
    description: The directory of the images.
    type: path
    required: true
  files:
    description:
      - The images, each a dictionary of C(name), C(size) in bytes and C(sha256).
      - C(compression) is what is done with it, if that is not O(compression), and C(compression_level) how hard.
      - Further keys, such as C(system) and C(architecture), go into the manifest.
      - In check mode C(size) and C(sha256) may be null, for images that are not made yet.
    type: list
    elements: dict
    required: true
  directory:
    description: Where the release's artifacts are made.
    type: path
    required: true
  label:
    description: The release's label, such as V(baserock-26.47).
    type: str
    required: true
  compression:
    description:
      - How images are compressed, or that they are taken with the bytes that they have.
      - V(xz) and V(zstd) since 0.2.0.
    type: str
    choices: [gzip, xz, zstd, none]
    default: gzip
  paths:
    description:
      - Where images are below O(images), by their names, if they have other names there.
      - An empty path is that of an image that is not there any more, which suits one that is packaged already.
    type: dict
    default: {}
  level:
    description:
      - How hard gzip tries, from 1 to 9. Another level makes other bytes.
      - Images that are compressed by something else have a level of their own, 6 for xz and 10 for zstd.
    type: int
    default: 6
    choices: [1, 2, 3, 4, 5, 6, 7, 8, 9]
  manifest:
    description: Facts about the release for the manifest. No times, paths or host names, which differ in each run.
    type: dict
    default: {}
  previous:
    description: The outputs of this stage's record, if it has been done before.
    type: dict
attributes:
  diff_mode:
    details: Lists the files that are made.
"""

EXAMPLES = r"""
- name: Package the release
  slipway.release.release_package:
    images: /srv/slipway/releases/26.47/images
    files:
      - name: baserock-26.47-minimal-system-x86_64.tar
        size: 104857600
        sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
        system: minimal-system-x86_64
        architecture: x86_64
    directory: /srv/slipway/releases/26.47/artifacts
    label: baserock-26.47
    manifest: {project: baserock, version: "26.47"}
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
files:
  description: What C(SHA256SUMS) lists, each with C(name), C(size) in bytes and C(sha256); null if not known yet.
  returned: success
  type: list
  elements: dict
sidecars:
  description: The checksum files and the signature, in the same form.
  returned: success
  type: list
  elements: dict
made:
  description: The names of the files that were made now.
  returned: success
  type: list
  elements: str
signed_by:
  description: The fingerprint of the key that signed. Null if not signed yet.
  returned: success
  type: str
signed_at:
  description: The date in the signature, in seconds since the epoch.
  returned: success
  type: int
tools:
  description: Names and versions of the tools.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import OPENPGP_REQUIRED, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.process import read_version
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish import package
from ..module_utils.slipway.release import compression


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    images = package.read_images(params["files"], known=write, method=params["compression"], paths=params["paths"])
    tools = {"gpg": read_version("gpg", "--version").rsplit(" ", 1)[-1]}
    for method in sorted({image.compression for image in images} - {package.NONE}):
        tools[compression.METHODS[method].program] = compression.read_version(method)
    done = package.package_release(
        Path(params["images"]),
        images,
        directory=Path(params["directory"]),
        label=params["label"],
        level=params["level"],
        manifest=params["manifest"],
        gnupghome=Path(params["gnupghome"]),
        fingerprint=params["signing_key"] or None,
        previous=package.read_previous(params["previous"]),
        progress=Progress(params["progress"] if write else None),
        check=not write,
    )
    result = {
        "changed": bool(done.made),
        "files": [file.as_dict() for file in done.files],
        "sidecars": [file.as_dict() for file in done.sidecars],
        "made": done.made,
        "signed_by": done.signed_by,
        "signed_at": done.signed_at,
        "tools": tools,
    }
    if done.made:
        result["diff"] = diff_added(f"{params['directory']}/{name}" for name in done.made)
    return result


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP_REQUIRED,
            **PROGRESS,
            "images": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True},
            "directory": {"type": "path", "required": True},
            "label": {"type": "str", "required": True},
            "compression": {"type": "str", "default": package.GZIP, "choices": list(package.COMPRESSIONS)},
            "paths": {"type": "dict", "default": {}},
            "level": {"type": "int", "default": 6, "choices": list(range(1, 10))},
            "manifest": {"type": "dict", "default": {}},
            "previous": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()

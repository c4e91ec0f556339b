#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_source
short_description: Make the source packages of a stack for several platforms
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes from a released stack, or from a Debian package, one source package for each platform, a C(.dsc) with its
    files in C(<platform>/) below O(directory). The same input gives the same bytes, and a second run changes nothing.
  - C(kind) in O(control) says how. With V(ros) the tarball has a stack, and C(debian/) is made from the control YAML,
    in the format 1.0 without a diff, so that versions with a revision have one tarball. A C(debian) that is in the
    tarball is left out.
  - With V(debian) the tarball has a tree with its own C(debian/). It gets a new entry at the top of its changelog,
    unless the version stays. In the format V(3.0 (quilt\)) the upstream tarball C(<source>_<upstream
    version>.orig.tar.xz) is made of the tree without C(debian), in the order of names, all dated 2001-09-09 and
    root's, so that the next revision of the same tree has the same one; patches must not be applied in the tree. In
    the formats V(3.0 (native\)) and C(1.0) there is one tarball, without a diff. C(debian/source/options) counts.
  - With V(dsc) there is a source package already. Of it the entry at the top of C(debian/changelog) is new, and every
    other byte of its tree and of its upstream tarballs stays. If the version stays, all files stay, and so does the
    signature.
  - A new entry of a changelog is for the platform, and dated O(epoch), or else one second after the entry before.
  - A platform that the stack does not support, or for which the source package cannot be made, is in RV(faults) with
    the reason, and the module goes on with the others and does not fail.
  - Everything is checked before it is used, a tarball by its digest in O(control) and the files of a C(.dsc) by
    theirs.
requirements:
  - dpkg-source (Debian's dpkg-dev), for V(ros) and V(debian).
  - xz, where the format needs it.
extends_documentation_fragment:
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  control:
    description: What the control YAML of the release says, as M(slipway.release.stack_package) returns it.
    type: dict
    required: true
  tarball:
    description: For V(ros) and V(debian), the tarball that O(control) describes.
    type: path
  dsc_directory:
    description: For V(dsc), the directory with the C(.dsc) and the files that it names.
    type: path
  directory:
    description: The source packages come into C(<platform>/) below it. It is made if it is absent; other files stay.
    type: path
    required: true
  platforms:
    description: The codenames of the platforms to make it for, which are also the distributions in the changelog.
    type: list
    elements: str
    required: true
  distribution:
    description: The distribution, for O(package_name) and O(marker).
    type: str
    default: ""
  package_name:
    description:
      - For V(ros), how packages of stacks are called, with C({distribution}) and C({stack}), in which underscores
        become dashes.
    type: str
    default: "{stack}"
  packages:
    description: For V(ros), the packages of stacks among its dependencies that are called otherwise, by stack.
    type: dict
    default: {}
  source_version:
    description:
      - The version, with C({version}) and C({platform}). V({version}~{platform}1) is what a rebuild of a Debian
        package has, V({version}) keeps the version.
      - Where upstream tarballs are reused, it must not change the upstream version.
    type: str
    default: "{version}-0~{platform}"
  marker:
    description: For V(ros), the field of binary packages that has the name of the distribution. Empty for none.
    type: str
    default: ""
  maintainer:
    description:
      - The maintainer, C(Name <mail@address>), in V(ros) packages and new entries of changelogs. Without it, that of
        O(control) or of the entry before.
    type: str
    default: ""
  section:
    description: For V(ros), the section.
    type: str
    default: misc
  rules:
    description: For V(ros), the text of C(debian/rules). Without it, debhelper's C(dh) does all.
    type: str
    default: ""
  files:
    description: For V(ros), further files below C(debian).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Its path below C(debian).
        type: str
        required: true
      content:
        description: Its text.
        type: str
        required: true
      program:
        description: Whether it may be run (mode 0755, else 0644).
        type: bool
        default: false
  epoch:
    description:
      - The date of the packages, in seconds since 1970. Without it, V(ros) packages have that of the first member of
        the tarball.
    type: int
  keyring:
    description:
      - For V(dsc), a file of public keys. The C(.dsc) must have a good signature of one of them. Without it, no
        signature is looked at.
    type: path
  sign:
    description:
      - Which C(.dsc) are signed with O(signing_key). With V(made) those that were made, with V(all) also those whose
        version stays, whose signature is replaced. Nothing is signed without O(gnupghome).
      - A C(.dsc) that is there with the right content and a good signature of that key stays.
    type: str
    choices: [made, all]
    default: made
attributes:
  check_mode:
    details: Makes all of it in a temporary directory. A C(.dsc) that would be signed has neither size nor digest.
  diff_mode:
    details: Shows every C(.dsc) that changes.
"""

EXAMPLES = r"""
- name: Make the source packages of a stack
  slipway.release.deb_source:
    control: "{{ lookup('ansible.builtin.file', '/srv/stacks/ros-1.2.0.yaml') | from_yaml }}"
    tarball: /srv/stacks/ros-1.2.0.tar.bz2
    directory: /srv/sources
    platforms: [bookworm, trixie]
    distribution: cturtle
    marker: WG-rosdistro
    maintainer: ROS community <ros@example.org>
    gnupghome: /srv/keys

- name: Rebuild a Debian package for a platform
  slipway.release.deb_source:
    control: "{{ __popt.control }}"
    dsc_directory: /srv/stacks/popt
    directory: /srv/sources
    platforms: [bookworm]
    source_version: "{version}~{platform}1"
    keyring: /usr/share/keyrings/debian-keyring.gpg
    gnupghome: /srv/keys
"""

RETURN = r"""
made:
  description: The source packages, in the order of O(platforms).
  returned: success
  type: list
  elements: dict
  contains:
    platform: {description: The platform., type: str}
    source: {description: The name of the source package., type: str}
    version: {description: Its version., type: str}
    dsc: {description: Path of the C(.dsc)., type: str}
    content: {description: "One digest of its version and of its files without the C(.dsc).", type: str}
    sha256: {description: Its digest; null in check mode if it would be signed now., type: str}
    files:
      description: All its files with C(name), C(path), C(size) and C(sha256), the C(.dsc) last.
      type: list
      elements: dict
    changed: {description: "Whether any of them was written, or would be.", type: bool}
faults:
  description: The platforms for which there is none, each with C(platform) and the C(reason), a sentence.
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.deb import source
from ..module_utils.slipway.deb.debianize import ExtraFile, Style
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import make_directory, make_scratch
from ..module_utils.slipway.module.options import OPENPGP
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.stack.tarball import unpack_tarball


def main() -> None:
    file = {
        "path": {"type": "str", "required": True},
        "content": {"type": "str", "required": True},
        "program": {"type": "bool", "default": False},
    }
    run_module(
        act,
        {
            **OPENPGP,
            "control": {"type": "dict", "required": True},
            "tarball": {"type": "path"},
            "dsc_directory": {"type": "path"},
            "directory": {"type": "path", "required": True},
            "platforms": {"type": "list", "elements": "str", "required": True},
            "distribution": {"type": "str", "default": ""},
            "package_name": {"type": "str", "default": "{stack}"},
            "packages": {"type": "dict", "default": {}},
            "source_version": {"type": "str", "default": "{version}-0~{platform}"},
            "marker": {"type": "str", "default": ""},
            "maintainer": {"type": "str", "default": ""},
            "section": {"type": "str", "default": "misc"},
            "rules": {"type": "str", "default": ""},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "epoch": {"type": "int"},
            # Where public keys are is not a secret.
            "keyring": {"type": "path", "no_log": False},
            "sign": {"type": "str", "choices": ["made", "all"], "default": "made"},
        },
        required_one_of=[("tarball", "dsc_directory")],
        mutually_exclusive=[("tarball", "dsc_directory")],
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory = Path(options["directory"])
    if write:
        make_directory(directory)
    with make_scratch(".slipway-tree-", directory=directory if write else None) as scratch:
        order = make_order(options, place=find_place(options, scratch))
        done = source.make_sources(
            [order], directory, signing=find_signing(options), resign=options["sign"] == "all", write=write
        )[0]
    return {
        "changed": done.changed,
        "made": [describe(one) for one in done.made],
        "faults": [{"platform": one.platform, "reason": one.reason} for one in done.failed],
        "diff": [
            {"before_header": one.dsc, "after_header": one.dsc, "before": one.before, "after": one.after}
            for one in done.made
            if one.changed
        ],
    }


def find_place(options: dict[str, Any], scratch: Path) -> Path:
    """The tree in the tarball, once this is known to be the right one, or the directory with the .dsc."""
    control = options["control"]
    if (control.get("kind") == "dsc") != (options["dsc_directory"] is not None):
        wanted = "dsc_directory" if control.get("kind") == "dsc" else "tarball"
        on = str(control.get("stack") or control.get("package") or "a stack")
        raise SlipwayError("make source packages of", on, f"it needs {wanted}", do_next="Give it and run again.")
    if options["dsc_directory"] is not None:
        return Path(options["dsc_directory"])
    tarball = Path(options["tarball"])
    if fault := source.find_tarball_fault(tarball, control):
        do_next = "Fetch it again, or correct its control file, and run again."
        raise SlipwayError("use the tarball", str(tarball), fault, do_next=do_next)
    return unpack_tarball(tarball, scratch)


def make_order(options: dict[str, Any], *, place: Path) -> source.SourceOrder:
    style = Style(
        maintainer=options["maintainer"],
        marker=options["marker"],
        rules=options["rules"],
        files=tuple(ExtraFile(file["path"], file["content"], program=file["program"]) for file in options["files"]),
        section=options["section"],
    )
    moment = options["epoch"]
    if moment is None and options["control"].get("kind", "ros") == "ros":
        moment = source.read_tarball_date(Path(options["tarball"]))
    return source.SourceOrder(
        options["control"],
        place,
        tuple(options["platforms"]),
        distribution=options["distribution"],
        package=options["package_name"],
        version=options["source_version"],
        style=style,
        packages={str(stack): str(name) for stack, name in options["packages"].items()},
        moment=moment,
        keyring=None if options["keyring"] is None else Path(options["keyring"]),
    )


def find_signing(options: dict[str, Any]) -> source.Signing | None:
    if options["gnupghome"] is None:
        return None
    key = find_signing_key(options["gnupghome"], options["signing_key"])
    return source.Signing(Path(options["gnupghome"]), key.fingerprint)


def describe(one: source.SourcePackage) -> dict[str, Any]:
    names = ("platform", "source", "version", "dsc", "content", "changed")
    files = [dict(file) for file in one.files]
    return {**{name: getattr(one, name) for name in names}, "files": files, "sha256": files[-1]["sha256"]}


if __name__ == "__main__":
    main()

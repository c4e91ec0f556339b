#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_stamp
short_description: Stamp debs with one release and lock them to each other
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes from each deb a new one with another version, whose dependencies on the others of the set demand exactly
    their new versions. A client can then never mix two releases of the set.
  - Only the control file is changed. Its other fields, the maintainer scripts and all other control files stay as
    they are, and so does, byte for byte, the data. Every compression that dpkg takes is kept.
  - In C(Pre-Depends), C(Depends), C(Recommends), C(Suggests) and C(Enhances) a package of the set, or a name that one
    of them provides with a version, becomes C((= new version)), in alternatives and with C(:any) too. A demand that
    the set does not meet stays unmet and is listed in RV(debs[].unsatisfied).
  - C(Provides) with a version gets the new version. C(Breaks), C(Conflicts) and C(Replaces) hold for the new
    versions as for the old ones; where their text would change in meaning, it is adapted.
  - C(Source) names the version before, unless it names one already.
  - All or nothing. If one deb is faulty, nothing is written, and every faulty deb is named with its fault.
requirements:
  - Python's zstandard (Debian's python3-zstandard), only for debs with a C(control.tar.zst).
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes
options:
  debs:
    description: Paths of the debs that make up the set. A directory stands for the debs in it.
    type: list
    elements: path
    required: true
  directory:
    description:
      - Directory for the new debs, C(<package>_<version without epoch>_<architecture>.deb). It is made if it is absent.
      - Other files in it are left alone.
    type: path
    required: true
  release:
    description: Release of the distribution, such as V(r468). Letters, digits and C(. + ~).
    type: str
    required: true
  platform:
    description: Name of the platform that the debs are for, such as V(bookworm). Letters, digits and C(. + ~).
    type: str
    default: ""
  template:
    description:
      - How a new version is made. C({version}) is the whole old version without the revision C(0), C(0<platform>)
        or C(0~<platform>), which marks a deb that is not stamped. C({source_version}) is the same without C(+b<n>) of
        a binary rebuild. C({epoch}) is the epoch with its colon or nothing. C({upstream}) and C({revision}) are the
        other parts, with C(0) for the revision of a native version.
      - Also C({release}) and C({platform}).
    type: str
    default: "{version}-{release}~{platform}"
  fields:
    description: Fields to set in every control file, such as a marker that says which distribution a package is of.
    type: dict
    default: {}
  locked:
    description: Members of the set that are not among the debs because they are stamped already.
    type: list
    elements: dict
    default: []
    suboptions:
      package:
        description: Name of the package.
        type: str
        required: true
      architecture:
        description: Its architecture.
        type: str
        default: all
      version:
        description: Its version before it was stamped, by which it is judged whether a dependency means it.
        type: str
        required: true
      stamped:
        description: Its version now.
        type: str
        required: true
      provides:
        description: What its control file said in C(Provides) before, as other packages may need it under those names.
        type: str
        default: ""
  signatures:
    description:
      - What to do with a deb that is signed inside (C(_gpgorigin) and its like), whose signature another control file
        makes void. With V(drop) the signature is left out.
    type: str
    choices: [refuse, drop]
    default: refuse
  jobs:
    description: How many debs are stamped at once. V(0) means one for each processor.
    type: int
    default: 0
attributes:
  diff_mode:
    details: Shows the control file of every changed deb before and after.
"""

EXAMPLES = r"""
- name: Stamp the debs of a distribution
  slipway.release.deb_stamp:
    debs: [/srv/shadow/pool/cturtle]
    directory: /srv/slipway/stamped/r468/lucid
    release: r468
    platform: lucid
    fields:
      WG-rosdistro: cturtle

- name: Keep the order of versions even where upstream versions gain letters
  slipway.release.deb_stamp:
    debs: [/srv/incoming]
    directory: /srv/stamped
    release: "26.47"
    template: "{epoch}{upstream}-{revision}A~{release}"
"""

RETURN = r"""
debs:
  description: One entry for each deb, in the order of O(debs).
  returned: success
  type: list
  elements: dict
  contains:
    package: {description: Name of the package., type: str}
    architecture: {description: Its architecture., type: str}
    version: {description: Its version before., type: str}
    stamped: {description: Its version now., type: str}
    source: {description: Path of the deb before., type: str}
    path: {description: Path of the new deb., type: str}
    size: {description: Size of the new deb in bytes., type: int}
    md5: {description: MD5 of the new deb., type: str}
    sha1: {description: SHA-1 of the new deb., type: str}
    sha256: {description: SHA-256 of the new deb., type: str}
    changed:
      description: Whether the file was, or would be, written.
      type: bool
    unsatisfied:
      description: Relations to packages of the set that it does not satisfy, each with its C(field) and C(relation).
      type: list
      elements: dict
    dropped: {description: Signatures that were left out., type: list, elements: str}
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.deb import stamp
from ..module_utils.slipway.deb.version import DEFAULT_TEMPLATE, Rule
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import report
from ..module_utils.slipway.progress import Progress

LOCKED = {
    "package": {"type": "str", "required": True},
    "architecture": {"type": "str", "default": "all"},
    "version": {"type": "str", "required": True},
    "stamped": {"type": "str", "required": True},
    "provides": {"type": "str", "default": ""},
}


def make_order(params: dict[str, Any]) -> stamp.Order:
    rule = Rule(params["release"], params["platform"], params["template"])
    return stamp.Order(
        rule=rule,
        fields={str(name): str(value) for name, value in params["fields"].items()},
        locked=tuple(stamp.describe_locked(one, rule) for one in params["locked"]),
        drop_signatures=params["signatures"] == "drop",
    )


def describe_deb(deb: stamp.StampedDeb) -> dict[str, Any]:
    return {
        **{name: getattr(deb, name) for name in ("package", "architecture", "version", "stamped", "source", "path")},
        **asdict(deb.digests),
        "changed": deb.changed,
        "unsatisfied": [{"field": field, "relation": relation} for field, relation in deb.unsatisfied],
        "dropped": list(deb.dropped),
    }


def diff_control(deb: stamp.StampedDeb) -> dict[str, str]:
    return {"before_header": deb.source, "after_header": deb.path, "before": deb.before, "after": deb.after}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **PROGRESS,
            "debs": {"type": "list", "elements": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "platform": {"type": "str", "default": ""},
            "template": {"type": "str", "default": DEFAULT_TEMPLATE},
            "fields": {"type": "dict", "default": {}},
            "locked": {"type": "list", "elements": "dict", "default": [], "options": LOCKED},
            "signatures": {"type": "str", "choices": ["refuse", "drop"], "default": "refuse"},
            "jobs": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )

    def act() -> dict[str, Any]:
        paths = stamp.find_debs(module.params["debs"])
        results = stamp.stamp_debs(
            paths,
            module.params["directory"],
            order=make_order(module.params),
            check=module.check_mode,
            jobs=module.params["jobs"] or None,
            progress=None if module.check_mode else Progress(module.params["progress"], total=len(paths)),
        )
        answer = {"changed": any(deb.changed for deb in results), "debs": [describe_deb(deb) for deb in results]}
        if module._diff:
            answer["diff"] = [diff_control(deb) for deb in results if deb.changed]
        return answer

    report(module, act)


if __name__ == "__main__":
    main()

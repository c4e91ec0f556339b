# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be in an archive of packages, and what of it is built."""

from __future__ import annotations


class ModuleDocFragment:
    """The sources, their names and versions, and what makes a build necessary or leaves it out."""

    DOCUMENTATION = r"""
options:
  stacks:
    description:
      - What is to be there, a version for each stack, a text. It may stand in a mapping as C(version), as
        M(slipway.release.distro_file_info) returns it. C(package) there is the name of its source package, and
        C(source_version) a template as O(source_version), where these are others than for the rest.
      - Without it, every source of the indexes in its highest version.
    type: dict
  package_name:
    description: The name of a stack's source package, from C({distribution}) and C({stack}).
    type: str
    default: "{stack}"
  source_version:
    description: The version of a source package, from C({version}) and C({platform}).
    type: str
    default: "{version}-0~{platform}"
  policy:
    description:
      - What the success of a build invalidates, which then is removed from the archive and built again.
      - V(transitive) is all that depends on it, directly or not, to build or to run.
      - V(direct) is what depends on it directly.
      - V(abi) is the same if the names of the libraries that it makes are others than those in the archive, or if it is
        in O(abi_changed), else nothing. Libraries are packages with a name that begins with C(lib) and does not end
        with C(-dev), C(-doc), C(-bin) and the like.
      - V(build) is what needs it to build, directly or through what its build dependencies depend on, and so on.
      - V(none) is nothing.
    type: str
    choices: [transitive, direct, abi, build, none]
    default: transitive
  policies:
    description: Policies of single stacks or sources, such as C(roscpp_docs=none). What goes through them counts too.
    type: dict
    default: {}
  abi_changed:
    description: Stacks or sources that others must be linked with again.
    type: list
    elements: str
    default: []
  force:
    description: Stacks or sources that are built in any case.
    type: list
    elements: str
    default: []
  rebuild:
    description: Stacks or sources of which the binary packages are built once more, as C(+b1) and so on.
    type: list
    elements: str
    default: []
  hold:
    description: Stacks or sources that are not built, each with the reason. They are not invalidated either.
    type: dict
    default: {}
  excludes:
    description:
      - Stacks or sources that are left out, each with the list of places where, such as V(lucid-i386) or V(lucid). An
        empty list means everywhere.
    type: dict
    default: {}
  profiles:
    description: The active build profiles, such as V(nocheck).
    type: list
    elements: str
    default: []
"""

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the source of a stack is."""

from __future__ import annotations


class ModuleDocFragment:
    """A rule of the distro file."""

    DOCUMENTATION = r"""
options:
  kind:
    description:
      - In what the source is kept. C(dsc) is a Debian source package.
      - C(git), C(svn), C(hg) and C(brz) are called, with their own settings left aside, so that these change no byte
        and run no hook. How a server is reached stays as it is set for the account, by ssh, by proxies, by git's
        credentials, by C(~/.subversion/servers) and C(~/.subversion/auth), by the sections C(auth), C(http_proxy),
        C(hostsecurity), C(hostfingerprints) and C(ui.ssh) of C(~/.hgrc), and by
        C(~/.config/breezy/authentication.conf). No password is ever asked for; one that stands in an address is
        refused, except in one of git over HTTP.
    type: str
    required: true
    choices: [git, svn, hg, bzr, dsc]
  values:
    description:
      - The values of the stack's rule in the distro file, with everything filled in.
      - For C(git), C(hg) and C(bzr) these are C(uri), C(dev-branch), C(release-tag) and C(distro-tag), for C(svn) the
        URLs C(dev), C(release-tag) and C(distro-tag), for C(dsc) the C(uri) of a C(.dsc), an address or an absolute
        path. Tags may be missing or null while the stack has no version. Other keys are not looked at.
      - The C(dev-branch) of C(hg) is a named branch with one head. That of C(bzr) is a directory below C(uri);
        without it, or as C(.), the branch is C(uri).
    type: dict
    required: true
  timeout:
    description: Seconds after which a client is ended, each time that one is called.
    type: float
    default: 300
"""

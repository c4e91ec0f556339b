# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a release."""

from __future__ import annotations


class ModuleDocFragment:
    """What is uploaded, published and verified, and for how long it is waited for."""

    DOCUMENTATION = r"""
options:
  files:
    description:
      - All files of the release, each a dictionary of C(name), C(size) in bytes and C(sha256).
      - In check mode C(size) and C(sha256) may be null, for files that are not made yet.
    type: list
    elements: dict
    required: true
"""

    PUBLIC = r"""
options:
  public:
    description: The public directory, for example a web server's root.
    type: path
    required: true
  label:
    description: The release's label, which is the name of its directory.
    type: str
    required: true
"""

    SERVER = r"""
options:
  private:
    description: The directory for what is not public yet, on the same file system as O(public).
    type: path
    required: true
  flat_links:
    description:
      - Whether there is a relative link C(<public>/<file>) to every file whose name begins with the label, for those
        who know the files by their flat names. A name that is something else already is a failure.
    type: bool
    default: true
  reinstate:
    description:
      - Whether a release that was withdrawn comes back. Without it that is a failure that names the reason; with other
        bytes than those that were withdrawn it is one always.
    type: bool
    default: false
"""

    WAIT = r"""
options:
  timeout:
    description: Seconds to wait until the files are served as they must be. 0 means one look.
    type: int
    default: 0
  interval:
    description: Seconds between two looks.
    type: int
    default: 5
  fetch_timeout:
    description: Seconds that the fetch of one file may take.
    type: int
    default: 3600
  idle_timeout:
    description: Seconds of silence after which a fetch has failed.
    type: int
    default: 30
"""

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small bills of materials, in SPDX, for those who read them."""

from __future__ import annotations

import json
from pathlib import Path


def write_bill(path: Path, components: dict[str, tuple[str, str]]) -> Path:
    """A bill of Debian packages: version and licence of each."""
    packages = [
        {
            "SPDXID": f"SPDXRef-{name}",
            "name": name,
            "versionInfo": version,
            "licenseConcluded": licence,
            "externalRefs": [
                {"referenceType": "purl", "referenceLocator": f"pkg:deb/debian/{name}@{version}?arch=amd64"}
            ],
        }
        for name, (version, licence) in components.items()
    ]
    path.write_text(json.dumps({"packages": packages, "relationships": []}))
    return path

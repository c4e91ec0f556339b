# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Source packages that are built in a moment, with nothing but what every chroot has, and an archive for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.reprepro import open_archive
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.uploads import read_upload
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key

MAINTAINER = "A Maintainer <maintainer@example.org>"
RULES = """\
#!/usr/bin/make -f
NAME := $(shell dpkg-parsechangelog -SSource)
build build-arch build-indep clean:
binary-arch binary: build
	rm -rf debian/tmp
	mkdir -p debian/tmp/DEBIAN debian/tmp/usr/share/$(NAME)
{recipe}
	[ ! -f debian/postinst ] || install -m 755 debian/postinst debian/tmp/DEBIAN/
	dpkg-gencontrol -p$(NAME) -Pdebian/tmp
	dpkg-deb --root-owner-group --build debian/tmp ..
binary-indep:
"""
RECIPE = "echo $(NAME) > debian/tmp/usr/share/$(NAME)/text"


def make_source(
    place: Path,
    name: str,
    version: str = "1.0",
    *,
    build_depends: Sequence[str] = (),
    depends: Sequence[str] = (),
    recipe: str = RECIPE,
    postinst: str = "",
    test: str = "",
    test_depends: str = "@",
) -> Path:
    """A source package for one binary package of its name; the path of its .dsc. ``test`` is a shell script."""
    tree = place / "trees" / f"{name}-{version}"
    texts = {
        "debian/changelog": (
            f"{name} ({version}) unstable; urgency=medium\n\n  * One.\n\n"
            f" -- {MAINTAINER}  Thu, 01 Feb 2024 10:00:00 +0000\n"
        ),
        "debian/control": (
            f"Source: {name}\nSection: misc\nPriority: optional\nMaintainer: {MAINTAINER}\nStandards-Version: 4.6.2\n"
            + (f"Build-Depends: {', '.join(build_depends)}\n" if build_depends else "")
            + "Rules-Requires-Root: no\n"
            f"\nPackage: {name}\nArchitecture: any\n"
            + (f"Depends: {', '.join(depends)}\n" if depends else "")
            + "Description: is built in a moment\n It is of no use.\n"
        ),
        "debian/rules": RULES.format(recipe="".join(f"\t{line}\n" for line in recipe.splitlines()).rstrip("\n")),
        "debian/source/format": "3.0 (native)\n",
    }
    if postinst:
        texts["debian/postinst"] = postinst
    if test:
        texts["debian/tests/control"] = f"Tests: works\nDepends: {test_depends}\n"
        texts["debian/tests/works"] = test
    for path, text in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path in ("debian/rules", "debian/tests/works"):
        if (tree / path).exists():
            (tree / path).chmod(0o755)
    subprocess.run(
        ["dpkg-source", "-q", "-Zgzip", "-b", tree.name],
        cwd=tree.parent,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1706781600"},
    )
    return next(tree.parent.glob(f"{name}_{version.partition(':')[2] or version}.dsc"))


class Archive:
    """A shadow archive below ``place``, as the role makes it: ``base`` is reprepro's, ``public`` what clients read."""

    def __init__(self, place: Path, *, architectures: Sequence[str] = ("amd64",), suite: str = "bookworm") -> None:
        self.place, self.suite = place, suite
        self.base, self.public, self.gnupghome = place / "shadow", place / "public", place / "gnupg"
        (self.base / "conf").mkdir(parents=True)
        self.public.mkdir()
        self.gnupghome.mkdir(mode=0o700)
        key = make_key(self.gnupghome, "Archive <archive@example.org>")
        self.key = export_public_key(self.gnupghome, str(key)).decode()
        (self.base / "conf/distributions").write_text(
            f"Origin: Slipway\nLabel: Slipway shadow\nCodename: {suite}\nComponents: main\n"
            f"Architectures: {' '.join(architectures)} source\nDebIndices: Packages .\nDscIndices: Sources .\n"
        )
        (self.base / "conf/options").write_text("outdir +b/export\n")
        (self.base / "conf/served").write_text(f"directory +b/../public\nkey {key}\n")

    def add_sources(self, *paths: Path) -> None:
        """Include source packages."""
        with open_archive(self.base, gnupghome=self.gnupghome) as archive:
            archive.include_sources(self.suite, [read_upload(path, path.parent) for path in paths], component="main")

    def add_debs(self, *paths: Path) -> None:
        """Include packages."""
        with open_archive(self.base, gnupghome=self.gnupghome) as archive:
            archive.include(self.suite, read_debs(paths))

    def list_packages(self) -> dict[str, str]:
        """The versions of what reprepro lists, by names."""
        with open_archive(self.base, gnupghome=self.gnupghome) as archive:
            return {package.name: package.version for package in archive.list_packages(self.suite)}

    def read_index(self, architecture: str = "amd64") -> str:
        """What clients read."""
        return (self.public / f"dists/{self.suite}/main/binary-{architecture}/Packages").read_text()

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is published has the same modes and bytes under every umask, and what is secret is nobody else's."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.directory import Server, publish_release
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
from publishing import content, put, run_module, tree

LABEL = "baserock-26.47"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def read_modes(top: Path) -> dict[str, str]:
    found = {}
    for path in sorted(top.rglob("*")):
        if not path.is_symlink():
            kept = path.relative_to(top)
            name = ".current-*" if kept.name.startswith(".current-") else str(kept)
            found[name] = oct(stat.S_IMODE(path.stat().st_mode))
    return found


def publish(site: Path, keys: Path) -> dict[str, Any]:
    """Package and publish a release in ``site``, as the modules do it one after the other; the package's outputs."""
    if keys.is_dir():
        shutil.copytree(keys, site / "gnupg", ignore=shutil.ignore_patterns("S.*"))
    else:
        run_module("openpgp_key", {"gnupghome": str(keys), "name": "Anne", "email": "anne@example.org"})
        shutil.copytree(keys, site / "gnupg", ignore=shutil.ignore_patterns("S.*"))
    images = put(site / "images", {f"{LABEL}-{name}": content(name, 100_000) for name in ("a.tar", "b.img")})
    artifacts, private, public = site / "artifacts", site / "download/private", site / "download/public"
    base = {"label": LABEL, "files": images}
    packing = {"images": str(site / "images"), "directory": str(artifacts), "gnupghome": str(site / "gnupg")}
    package = run_module("release_package", {**base, **packing, "manifest": {}})
    assert "failed" not in package, package
    base["files"] = package["files"] + package["sidecars"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("artifact_upload", {"source": str(artifacts), "files": base["files"], "directory": str(private / LABEL)}),
        ("artifact_publish", {**base, "private": str(private), "public": str(public)}),
        (
            "current_links",
            {**base, "project": "baserock", "public": str(public), "files": [file["name"] for file in base["files"]]},
        ),
        (
            "release_record",
            {
                "directory": str(site / "records"),
                "project": "baserock",
                "version": "26.47",
                "records": [{"stage": "publication", "outputs": {"directory": LABEL}}],
            },
        ),
    ]
    for name, arguments in calls:
        assert "failed" not in (done := run_module(name, arguments)), done
    return package


def test_published_files_have_the_same_modes_and_contents_under_every_umask(tmp_path: Path) -> None:
    modes, contents = [], []
    for mask in (0o022, 0o000, 0o077):
        site = tmp_path / oct(mask)
        site.mkdir(mode=0o755)
        with umask(mask):
            publish(site, tmp_path / "keys")
        modes.append(
            {name: mode for name, mode in read_modes(site).items() if not name.startswith(("gnupg", "images"))}
        )
        found = tree(site / "download/public")
        same = {name: said for name, said in found.items() if ".current" not in name + said and ".asc" not in name}
        contents.append(same)
        assert stat.S_IMODE((site / "gnupg").stat().st_mode) == 0o700
    assert modes[0] == modes[1] == modes[2]
    assert contents[0] == contents[1] == contents[2]
    assert set(modes[0].values()) == {"0o755", "0o644"}
    assert modes[0][f"download/public/{LABEL}"] == "0o755"


def test_the_logic_itself_leaves_no_mode_to_the_umask(tmp_path: Path) -> None:
    with umask(0o077):
        listed = read_artifacts(put(tmp_path / "private" / LABEL, {f"{LABEL}-a.gz": b"hello"}), attempt="test")
        publish_release(Server(tmp_path / "private", tmp_path / "site/public", LABEL, listed))
        update_links(Release(tmp_path / "site/public", "baserock", LABEL, [f"{LABEL}-a.gz"]))
    assert set(read_modes(tmp_path / "site").values()) == {"0o755", "0o644"}

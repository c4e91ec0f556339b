"""A release begins only with what a mason has built, unless somebody says why; later runs do not ask any more."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.service import Settings, build_head

from .conftest import Site, git

ARCHITECTURES = ("x86_64", "x86_32")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serves what a mason publishes."""
    (tmp_path / "mason").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "mason"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def mason(site: Site, base: Path) -> Settings:
    """A mason of this site with a BuildStream cache of its own."""
    conf = base / "bst.conf"
    conf.write_text(f"cachedir: {base}/cache\nlogdir: {base}/log\n")
    return Settings(
        name="Mason of the tests",
        definitions=str(site.definitions),
        branch="master",
        cluster="clusters/release.morph",
        architectures=ARCHITECTURES,
        options={name: {"arch": name} for name in ARCHITECTURES},
        release="baserock-26.46",
        bst="bst",
        config=conf,
        work=base / "work",
        public=base / "mason",
        build_timeout=300,
    )


def preflight_record(site: Site) -> Any:
    record = json.loads((site.release_directory("26.47") / "records/preflight.json").read_text())
    return record["outputs"].get("masons")


def test_what_the_mason_built_is_released_and_what_it_did_not_needs_a_reason(site: Site, tmp_path: Path, address: str):
    asked = {"release_preflight_mason_urls": [address]}
    before = site.release(tags="preflight", **asked)
    assert before.status != 0
    assert f"Could not read the status of the mason at {address}status.json: it answers 404" in before.message
    assert not site.release_directory("26.47").exists()

    entry = build_head(mason(site, tmp_path))
    assert entry is not None
    assert [each["state"] for each in entry["systems"]] == ["passed"] * 3, entry
    site.released(tags="preflight", **asked)
    assert preflight_record(site) == [{"url": address, "passed": True, "override": ""}]

    work = tmp_path / "clone"
    git("clone", "-q", str(site.definitions), str(work), cwd=tmp_path)
    element = work / "elements/initramfs-init.bst"
    element.write_text(element.read_text().replace("build-commands:", "build-commands:\n  - exit 7"))
    git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qam", "break it", cwd=work)
    git("push", "-q", "origin", "master", cwd=work)
    entry = build_head(mason(site, tmp_path))
    assert entry is not None
    refused = site.release(tags="preflight", **asked)
    (failed,) = (each for each in entry["systems"] if each["state"] == "failed")
    assert f"did not build systems/tiny-initramfs.bst (x86_64) of {entry['commit']}" in refused.message
    assert f"; its log is {address}{failed['log']}" in refused.message
    assert "1 of the checks failed" in refused.message

    site.released(tags="preflight", release_preflight_mason_override="fixed by hand", **asked)
    assert preflight_record(site) == [{"url": address, "passed": False, "override": "fixed by hand"}]

    site.released(tags="branch", **asked, release_preflight_mason_override="fixed by hand")
    (tmp_path / "mason/status.json").unlink()
    assert site.released(tags="preflight", **asked).changed == []
    assert preflight_record(site) == [{"url": address, "passed": False, "override": "fixed by hand"}]

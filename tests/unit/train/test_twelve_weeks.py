"""Twelve weeks of two products on one download server: what is due is read from what the weeks before left there."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.slipway.release.plugins.action.release_index import render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.due import Changes
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schema import read_policy
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import update_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.releases import Site, describe_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.train.public import read_public
from ansible_collections.slipway.release.plugins.module_utils.slipway.train.timetable import Timetable, make_timetable
from publishing import tree

TEMPLATES = Path(__file__).parents[3] / "roles/release_current/templates"
#: A Monday to come, so that the key is older than what it signs.
START = datetime.date.today() + datetime.timedelta(days=7 - datetime.date.today().weekday())
WEEKLY, SIX = ({"every": period, "from": START.isoformat()} for period in ("1 week", "6 weeks"))
POLICY, _FAULTS = read_policy(
    {"products": {"acme": {"schedule": WEEKLY}, "router": {"systems": ["router"], "schedule": SIX}}}, project="acme"
)
FILES = {"acme": ("base.tar", "base.img"), "router": ("router.tar",)}


class Server:
    """A public directory, and who signs what comes there."""

    def __init__(self, top: Path) -> None:
        self.public, self.home = top / "public", top / "gnupg"
        self.public.mkdir()
        self.key = make_key(self.home, "Ada <ada@example.org>")

    def judge(self, day: datetime.date) -> Timetable:
        found = read_public(f"file://{self.public}", project="acme")
        changes = Changes()
        return make_timetable(
            POLICY, found.last, day=day, version="", public=found.versions, find_changes=lambda _product: changes
        )

    def publish(self, version: str, products: Sequence[str], day: datetime.date) -> None:
        directory = self.public / f"acme-{version}"
        directory.mkdir()
        entries = []
        for product in products:
            for location in FILES[product]:
                name = f"acme-{version}-{location}"
                (directory / name).write_text(f"{location} of {version}")
                entries.append({"name": name, **({} if product == "acme" else {"product": product})})
        said = [{"name": product, "title": product, "supported": None} for product in products]
        (directory / "manifest.json").write_text(json.dumps({"files": entries, "products": said}))
        names = [*(entry["name"] for entry in entries), "manifest.json"]
        digests = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}
        (directory / "SHA256SUMS").write_text("".join(f"{digests[name]}  {name}\n" for name in names))
        moment = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
        sign_detached(
            self.home,
            self.key,
            data=directory / "SHA256SUMS",
            signature=directory / "SHA256SUMS.asc",
            at=int(moment.timestamp()),
        )
        left_out = [product for product in FILES if product not in products]
        update_links(Release(self.public, "acme", directory.name, [*names, "SHA256SUMS", "SHA256SUMS.asc"], left_out))
        site = Site(self.public, "acme")
        update_pages(site, render_pages([str(TEMPLATES)], describe_site(site)))

    def leads(self) -> dict[str, str]:
        links = {path.name.removeprefix("acme-current-"): path for path in self.public.glob("acme-current-*")}
        return {location: path.read_text() for location, path in links.items()}


def test_each_week_releases_what_is_due_and_leaves_all_that_was_public_as_it_was(tmp_path: Path) -> None:
    server, kept, last = Server(tmp_path), {}, {}
    for week in range(12):
        day = START + datetime.timedelta(weeks=week)
        table = server.judge(day)
        assert table.due == (["acme", "router"] if week % 6 == 0 else ["acme"])
        server.publish(table.version, table.due, day)
        last |= dict.fromkeys(table.due, table.version)
        assert server.judge(day).due == []
        assert server.judge(day + datetime.timedelta(days=6)).due == []
        now = {name: said for name, said in tree(server.public).items() if name.startswith("acme-2") and "/" in name}
        assert kept.items() <= now.items()
        kept = now
        assert server.leads() == {
            location: f"{location} of {last[product]}" for product, files in FILES.items() for location in files
        }
        assert (server.public / "current").resolve().name == f"acme-{table.version}"
        listing = json.loads((server.public / "releases.json").read_text())
        assert {product["name"]: product["version"] for product in listing["products"]} == last
    assert len(listing["releases"]) == 12

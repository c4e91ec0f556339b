"""Two products of one distribution, each by its own schedule, released by playbooks/train.yml week after week."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from pathlib import Path

import pytest
from publishing import tree

from integration.conftest import Site, git

TRAIN = "playbooks/train.yml"
#: A Monday to come, so that the keys of the site are older.
START = datetime.date.today() + datetime.timedelta(days=7 - datetime.date.today().weekday())
POLICY = {
    "products": {
        "baserock": {"schedule": {"every": "1 week", "from": START.isoformat()}},
        "small": {
            "title": "Small systems",
            "systems": ["*-x86_32"],
            "schedule": {"every": "6 weeks", "from": START.isoformat()},
            "supported": {"days": 84},
        },
    }
}
ON_CHANGE = {"schedule": {"on_change": {"systems": 1}}}


@pytest.fixture
def weekly(site: Site, tmp_path: Path) -> Site:
    """A site on which signatures have the time of the day that is released on: the one in the file ``now``."""
    programs = tmp_path / "programs"
    programs.mkdir()
    gpg = programs / "gpg"
    gpg.write_text(f'#!/bin/sh\nexec {shutil.which("gpg")} --faked-system-time "$(cat {tmp_path}/now)" "$@"\n')
    gpg.chmod(0o755)
    site.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    site.variables = {**site.variables, "release_policy": POLICY}
    return site


def run(site: Site, week: int, **options: object) -> tuple[str, list[str]]:
    """What the train says on the Monday of a week, and what it changed."""
    day = START + datetime.timedelta(weeks=week)
    (site.base / "now").write_text(f"{day:%Y%m%d}T120000")
    ran = site.play(TRAIN, date=day.isoformat(), **options)
    assert ran.status == 0, ran.text
    assert "template error" not in ran.text  # of plays that are passed over
    return " ".join(ran.text.split()), ran.changed


def name(week: int) -> str:
    calendar = (START + datetime.timedelta(weeks=week)).isocalendar()
    return f"{calendar.year % 100:02d}.{calendar.week:02d}"


def leads(site: Site) -> dict[str, str]:
    """The version that each link of a file leads to."""
    links = {path.name: path.resolve() for path in site.public.glob("baserock-current-*")}
    assert all(path.is_file() for path in links.values())
    return {link: path.parent.name.removeprefix("baserock-") for link, path in links.items()}


def bytes_of(site: Site) -> dict[str, str]:
    """What never changes: everything in the directories of releases."""
    return {path: said for path, said in tree(site.public).items() if path.startswith("baserock-2") and "/" in path}


def change_definitions(site: Site) -> None:
    """A commit that makes other systems."""
    work = site.base / "work"
    git("clone", "--quiet", str(site.definitions), str(work), cwd=site.base)
    hello = work / "elements/hello.bst"
    hello.write_text(hello.read_text().replace("hello from", "good day from"))
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--all", "--message=change", cwd=work)
    git("push", "--quiet", "origin", "HEAD", cwd=work)


def test_each_product_is_released_when_it_is_due_and_keeps_its_links_when_it_is_not(weekly: Site) -> None:
    said, _ = run(weekly, 0)
    assert f"baserock and small are due, as {name(0)}" in said
    first = bytes_of(weekly)
    assert set(leads(weekly).values()) == {name(0)}
    said, changed = run(weekly, 0)
    assert f"nothing is due; next on {START + datetime.timedelta(weeks=1)}" in said
    assert changed == []

    run(weekly, 1)
    assert first.items() <= bytes_of(weekly).items()
    found = leads(weekly)
    assert {found.pop("baserock-current-tiny-system-x86_32.tar.gz")} == {name(0)}
    assert set(found.values()) == {name(1)}
    assert (weekly.public / "current").resolve().name == f"baserock-{name(1)}"
    assert [path.name for path in (weekly.public / f"baserock-{name(1)}").glob("*x86_32*")] == []
    listing = json.loads((weekly.public / "releases.json").read_text())
    products = {product["name"]: product for product in listing["products"]}
    assert {each: product["version"] for each, product in products.items()} == {"baserock": name(1), "small": name(0)}
    assert products["small"]["supported_until"] == (START + datetime.timedelta(days=84)).isoformat()
    records = weekly.release_directory(name(1)) / "records"
    assert not list(records.glob("*x86_32*"))
    assert git("tag", "--list", cwd=weekly.definitions).split() == [f"baserock-{name(week)}" for week in (0, 1)]

    other = weekly.release(name(1), tags="package", products="small")
    assert "release_products is small now, but this version was begun with baserock" in other.message

    before = tree(weekly.public)
    changing = {"products": {**POLICY["products"], "small": {**POLICY["products"]["small"], **ON_CHANGE}}}
    said, changed = run(weekly, 1, check=True, release_policy=changing)
    assert f"0 systems changed since {name(0)}, 1 would be enough" in said
    assert changed == []
    change_definitions(weekly)
    said, changed = run(weekly, 1, check=True, release_policy=changing)
    assert f"1 system changed since {name(0)} (tiny-system-x86_32)" in said
    assert f"small is due, as {name(1)}.1" in said
    assert (changed, tree(weekly.public)) == ([], before)

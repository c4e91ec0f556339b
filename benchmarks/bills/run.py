# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time the bills of materials of a release that was made here. The peer is buildstream-sbom and debsbom run by hand.

python benchmarks/bills/run.py ~/.local/state/slipway/releases/26.47

The release is one of the example; its sources, images and records are read, and nothing of it is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.elements import Origin
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.make import make_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.site import Release, Site, Wanted
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.sources import GitSources

PEER = Path(__file__).with_name("peer.sh")
ROUNDS = 3


def read_record(release: Path, stage: str) -> dict[str, Any]:
    """A record of the release."""
    return dict(json.loads((release / "records" / f"{stage}.json").read_text()))


def list_systems(release: Path) -> dict[str, str]:
    """The architectures of the systems that are deployed as tar, by their names."""
    found = {}
    for path in sorted(release.glob("records/deploy-*.json")):
        outputs = json.loads(path.read_text())["outputs"]
        if outputs["type"] == "tar":
            found[Path(outputs["system"]).stem] = outputs["architecture"]
    return found


def make(release: Path, target: Path) -> None:
    """What the stage does, into a directory of its own."""
    systems = list_systems(release)
    images = target / "images"
    images.mkdir(parents=True)
    deployments = []
    for name, architecture in systems.items():
        (image,) = release.glob(f"images/*-{name}.tar")
        os.symlink(image, images / image.name)
        inside = {
            "system": f"systems/initramfs-{architecture}.bst",
            "system_name": f"initramfs-{architecture}",
            "architecture": architecture,
            "subsystems": [],
        }
        deployments.append({"system_name": name, "type": "tar", "file": image.name, "subsystems": [inside]})
    commit = read_record(release, f"build-{next(iter(systems))}")["inputs"]["commit"]
    site = Site(
        release=Release(
            label="x-1.0",
            version="1.0",
            epoch=0,
            definitions=Origin("definitions", "master", commit),
            url=str(release / "source"),
            source=release / "source",
            images=images,
        ),
        deployments=deployments,
        artifacts={},
        keys={name: read_record(release, f"build-{name}")["outputs"]["key"] for name in systems},
        cache=target / "cache",
        git=GitSources(""),
        config=find_config(release),
        options={architecture: {"arch": architecture} for architecture in systems.values()},
    )
    wanted = [
        Wanted(
            f"{name}.{form}.json", "x", "bill", f"systems/{name}.bst", name, architecture, f"{name}.{form}", settings
        )
        for name, architecture in systems.items()
        for form in ("spdx", "cdx")
        for settings in [{"format": form}]
    ]
    make_files(wanted, site, previous={})


def find_config(release: Path) -> Path:
    """BuildStream's configuration of the site that made the release."""
    return release.parents[1] / "buildstream.conf"


def measure(words: Sequence[str]) -> tuple[float, float, float]:
    """Seconds of a program, of its processors with all that it started, and the MiB of the largest of them."""
    begun = time.monotonic()
    process = subprocess.Popen(words)
    _pid, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words[0]} ended with status {status}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure rounds of both, and tell the best of each."""
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    release = Path(sys.argv[1]).resolve()
    systems = list_systems(release)
    results: dict[str, list[tuple[float, float, float]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(ROUNDS):
            places = {who: Path(name, f"{who}{number}") for who in results}
            for place in places.values():
                place.mkdir()
            named = [f"{system}={architecture}" for system, architecture in systems.items()]
            results["ours"].append(measure([sys.executable, __file__, "--make", str(release), str(places["ours"])]))
            results["peer"].append(
                measure([str(PEER), str(release), str(find_config(release)), str(places["peer"]), *named])
            )
            if number == 0:
                tell_sizes(places["ours"] / "images", systems)
            for place in places.values():
                shutil.rmtree(place)
    tell(results)


def tell_sizes(images: Path, systems: Mapping[str, str]) -> None:
    """What is in the bills."""
    for system in systems:
        spdx = images / f"{system}.spdx"
        count = len(json.loads(spdx.read_text())["packages"])
        print(f"{system}: {count} packages, {spdx.stat().st_size / 1000:.0f} kB of SPDX", flush=True)


def tell(results: Mapping[str, Sequence[tuple[float, float, float]]]) -> None:
    """A table of the best round of each."""
    best = {who: min(rounds) for who, rounds in results.items()}
    print("| bills of a release | wall | processors | memory of the largest process | wall, by hand = 1 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for who, title in (("ours", "both formats, all systems"), ("peer", "by hand: SPDX, one system after the other")):
        wall, processors, memory = best[who]
        ratio = wall / best["peer"][0]
        print(f"| {title} | {wall:.1f} s | {processors:.1f} s | {memory:.0f} MiB | {ratio:.2f} |")


if __name__ == "__main__":
    main()

"""The execution environment of docs/teams.md: its image, as a plain tree, makes a release through ansible-runner."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from containerfile import Build, Image, make_debian
from exports import build_collection

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "examples/environment/execution-environment.yml"
RUNNER = "/runner"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can start what is in an image")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    top = tmp_path_factory.mktemp("environment")
    shutil.copy(DEFINITION, top)
    shutil.copy(build_collection(top / "built"), top)
    words = ["ansible-builder", "create", "-f", top / DEFINITION.name, "-c", top / "context"]
    subprocess.run([*words, "--output-filename", "Containerfile"], check=True, capture_output=True)
    (top / "stages").mkdir()
    build = Build(top / "context", top / "stages", make_debian)
    return build.run((top / "context/Containerfile").read_text())


class Runner:
    """ansible-runner in the image, as its own user, with a private data directory that stays outside."""

    def __init__(self, image: Image, directory: Path) -> None:
        self.image, self.directory = image, directory
        for name in ("env", "project"):
            (directory / name).mkdir()
        (directory / "env/envvars").write_text(json.dumps({"ANSIBLE_STDOUT_CALLBACK": "slipway.release.stages"}))
        self.own()

    def own(self) -> None:
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, int(self.image.user), 0, follow_symlinks=False)

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        binds = [f"{self.directory}:{RUNNER}", "/dev/fuse"]
        return self.image.start([*self.image.entrypoint, *words], binds=binds)

    def play(self, ident: str, playbook: str, *words: str, project: str = "") -> str:
        """What it said of a playbook, which must succeed."""
        where = ["--project-dir", f"{RUNNER}/project/{project}"] if project else []
        command = ["ansible-runner", "run", RUNNER, "--ident", ident, "-p", playbook, *where, *words]
        done = self.start(*command)
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    def events(self, ident: str) -> list[str]:
        found = (self.directory / "artifacts" / ident / "job_events").glob("*.json")
        return [json.loads(path.read_text())["event"] for path in found]


@pytest.fixture(scope="module")
def runner(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(image, tmp_path_factory.mktemp("runner"))


def test_the_image_has_what_a_release_needs(image: Image) -> None:
    for words in (
        ["bst", "--version"],
        ["bwrap", "--version"],
        ["ansible-doc", "-t", "module", "slipway.release.release_plan_info"],
        ["sh", "-c", "for each in git gpg rsync genimage pigz mmdebstrap sbuild reprepro; do command -v $each; done"],
    ):
        done = image.start([*image.entrypoint, *words])
        assert done.returncode == 0, done.stdout
    listed = image.start([*image.entrypoint, "id", "-u"])
    assert listed.stdout.splitlines()[0] == image.user


def test_a_project_is_begun_and_released(runner: Runner) -> None:
    said = runner.play("new", "slipway.release.new", "--cmdline", f"-e project=acme -e directory={RUNNER}/project/acme")
    assert "acme is there. To release 1.0" in " ".join(said.split())
    runner.play("provision", "slipway.release.provision", project="acme")
    said = runner.play("release", "slipway.release.release", "--cmdline", "-e version=1.0", project="acme")
    assert "acme-1.0 is released." in said
    assert "15/15  announce" in said.replace(" 15/15", "15/15")
    events = runner.events("release")
    assert events.count("runner_on_ok") > 20
    assert "playbook_on_stats" in events
    public = runner.directory / "project/acme/state/download/public"
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=public, check=True)
    assert (public / "acme-1.0/acme-1.0-full-x86_64.tar.gz").is_file()

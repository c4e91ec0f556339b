from __future__ import annotations

import hashlib
import json
import sys

import pytest
from publishing import run_module

DEPLOYMENTS = [
    {
        "name": name,
        "system": f"systems/{name}.morph",
        "architecture": "x86_64",
        "type": "rawdisk",
        "location": f"{name}.img",
        "file": f"baserock-26.47-{name}.img",
    }
    for name in ("minimal", "devel")
]


@pytest.fixture
def morph(tmp_path):
    """A morph that writes what it was called with to the location, and refuses one that exists, as Morph does."""
    program = tmp_path / "morph"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"calls, mode = {str(tmp_path / 'calls')!r}, {str(tmp_path / 'mode')!r}\n"
        "open(calls, 'a').write(json.dumps([os.getcwd(), *sys.argv[1:]]) + '\\n')\n"
        "mode = open(mode).read() if os.path.exists(mode) else ''\n"
        "location = next(word.partition('=')[2] for word in sys.argv if '.location=' in word)\n"
        "print('Deploying to', location)\n"
        "if mode == 'fails' or os.path.exists(location): sys.exit('ERROR: no space left on device')\n"
        "open(location, 'w').write('' if mode == 'empty' else ' '.join(sys.argv[-3:]))\n"
    )
    program.chmod(0o755)
    (tmp_path / "definitions").mkdir()
    return program


def arguments(morph, **changes):
    top = morph.parent
    return {
        "cluster": "clusters/release.morph",
        "definitions": str(top / "definitions"),
        "deployments": DEPLOYMENTS,
        "directory": str(top / "images"),
        "label": "baserock-26.47",
        "command": [str(morph)],
        "trove_host": "trove.example.org",
        "cache_server": "http://trove.example.org:8080",
        "log_directory": str(top / "logs"),
        **changes,
    }


def test_each_deployment_is_made_with_the_original_settings(morph):
    answer = run_module("morph_deploy", arguments(morph))
    assert answer["changed"] is True
    assert answer["made"] == [each["file"] for each in DEPLOYMENTS]
    calls = [json.loads(line) for line in (morph.parent / "calls").read_text().splitlines()]
    assert calls[0][:6] == [
        str(morph.parent / "definitions"),
        "deploy",
        "--trove-host=trove.example.org",
        "--artifact-cache-server=http://trove.example.org:8080",
        "clusters/release.morph",
        "minimal",
    ]
    assert calls[0][6].startswith("minimal.location=")
    assert calls[0][6].endswith("/baserock-26.47-minimal.img")
    assert calls[0][7] == "minimal.VERSION_LABEL=baserock-26.47"
    for file in answer["files"]:
        data = (morph.parent / "images" / file["name"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert sorted(path.name for path in (morph.parent / "images").iterdir()) == sorted(answer["made"])
    assert "Deploying to" in (morph.parent / "logs" / "deploy-baserock-26.47-minimal.img.log").read_text()


def test_what_is_recorded_is_verified_and_not_made_again(morph):
    files = run_module("morph_deploy", arguments(morph))["files"]
    again = run_module("morph_deploy", arguments(morph, previous=files))
    assert (again["changed"], again["files"], again["made"]) == (False, files, [])
    (morph.parent / "images" / files[0]["name"]).write_text("somebody else's")
    assert "they differ from what was deployed" in run_module("morph_deploy", arguments(morph, previous=files))["msg"]


def test_what_nobody_recorded_was_interrupted_and_is_made_again(morph):
    images = morph.parent / "images"
    (images / ".making-left").mkdir(parents=True)
    (images / DEPLOYMENTS[0]["file"]).write_text("half")
    answer = run_module("morph_deploy", arguments(morph))
    assert len(answer["made"]) == 2
    assert "half" not in (images / DEPLOYMENTS[0]["file"]).read_text()
    assert not (images / ".making-left").exists()


@pytest.mark.parametrize("field", ["name", "system", "architecture", "type", "file"])
def test_a_deployment_without_what_is_told_of_it_is_refused_before_any_is_made(field, morph):
    bad = {name: value for name, value in DEPLOYMENTS[1].items() if name != field}
    for check in (True, False):
        answer = run_module("morph_deploy", arguments(morph, deployments=[DEPLOYMENTS[0], bad]), check=check)
        named = "without a name" if field == "name" else "devel"
        assert answer["msg"].startswith(
            f"Could not deploy clusters/release.morph: number 2 ({named}) has no {field}. Give the deployments as"
        )
    assert not (morph.parent / "calls").exists()
    assert not (morph.parent / "images").exists()


def test_check_mode_makes_nothing(morph):
    answer = run_module("morph_deploy", arguments(morph), check=True)
    assert (answer["changed"], len(answer["made"]), answer["files"]) == (True, 2, [])
    assert not (morph.parent / "images").exists()
    assert not (morph.parent / "calls").exists()


@pytest.mark.parametrize(("mode", "words"), [("fails", "no space left on device"), ("empty", "missing or empty")])
def test_a_failure_names_the_deployment_and_its_log_and_leaves_no_file(mode, words, morph):
    (morph.parent / "mode").write_text(mode)
    answer = run_module("morph_deploy", arguments(morph))
    assert answer["failed"]
    assert words in answer["msg"]
    assert "minimal of clusters/release.morph" in answer["msg"]
    assert answer["log"].endswith("/logs/deploy-baserock-26.47-minimal.img.log")
    assert list((morph.parent / "images").iterdir()) == []

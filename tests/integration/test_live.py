"""Long modules show what they do: one action plugin for all of them, in the checkout and installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from publishing import put

ROOT = Path(__file__).resolve().parents[2]


def collections(form: str, directory: Path) -> Path:
    """Where the collection is: the checkout's links, or plain files as after an installation."""
    if form == "checkout":
        return ROOT / "collections"
    installed = directory / "collections/ansible_collections/slipway/release"
    if not installed.exists():
        for name in ("plugins", "meta"):
            shutil.copytree(ROOT / name, installed / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "galaxy.yml", installed)
    return directory / "collections"


def play(directory: Path, form: str, tasks: list[dict[str, object]], *options: str, progress: bool = True) -> str:
    """Run the tasks on this machine, with one default for all modules, and return what the terminal showed."""
    words, environment = prepare(directory, form, tasks, *options, progress=progress)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prepare(
    directory: Path, form: str, tasks: list[dict[str, object]], *options: str, progress: bool = True
) -> tuple[list[str], dict[str, str]]:
    """The command that runs them, and its environment."""
    defaults = {"group/slipway.release.all": {"progress": str(directory / "progress")} if progress else {}}
    book = directory / "play.yml"
    (directory / "ansible.cfg").touch()
    plays = [{"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}]
    book.write_text(json.dumps(plays))
    settings = {
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections(form, directory)),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCAL_TEMP": str(directory / "local"),
        "ANSIBLE_REMOTE_TEMP": str(directory / "remote"),
        "ANSIBLE_ASYNC_DIR": str(directory / "async"),
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), "-i", "localhost,", "-c", "local", *options, str(book)], {**os.environ, **settings}


@pytest.mark.parametrize("form", ["checkout", "installed"])
def test_the_tasks_own_module_runs_and_its_lines_are_shown(tmp_path: Path, form: str) -> None:
    files = put(tmp_path / "images", {"a-1.tar": b"a" * 1000})
    upload = {
        "source": str(tmp_path / "images"),
        "files": files,
        "directory": str(tmp_path / "private"),
    }
    task = {"name": "Upload", "slipway.release.artifact_upload": upload, "register": "sent"}
    right = {"ansible.builtin.assert": {"that": ["sent is changed", "sent.sent == ['a-1.tar']"]}}
    looked = play(tmp_path, form, [task, right], "--check")
    assert not (tmp_path / "progress").exists()
    assert "this is also in" not in looked
    shown = play(tmp_path, form, [task, right])
    lines = (tmp_path / "progress").read_text().splitlines()
    assert lines
    assert f"    Upload (this is also in {tmp_path / 'progress'})" in shown
    assert all(f"    {line}" in shown.splitlines() for line in lines)
    shutil.rmtree(tmp_path / "private")
    apart = play(tmp_path, form, [{**task, "async": 60, "poll": 1}, right])
    assert "this is also in" not in apart
    assert (tmp_path / "private/a-1.tar").is_file()


def test_a_wait_for_others_is_not_silent(tmp_path: Path) -> None:
    """A server without the branch that is waited for."""
    server = tmp_path / "server.git"
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    wanted = {
        "backend": "git",
        "upstream": str(server),
        "toplevel": str(tmp_path / "trove"),
        "path": "acme/definitions",
        "ref": "refs/heads/main",
        "commit": "0" * 40,
        "timeout": 14,
    }
    task = {"name": "Promote", "slipway.release.trove_promote": wanted, "failed_when": False}
    assert re.search("^    Promote: waiting for 1[0-3] s$", play(tmp_path, "checkout", [task]), re.MULTILINE)


def test_only_what_comes_to_the_same_runs_in_the_process_of_its_task(tmp_path: Path) -> None:
    """Ansible says which program it sends, and nothing of what it does not send."""
    kinds: dict[str, dict[str, object]] = {
        "here": {},
        "delegated here": {"delegate_to": "localhost"},
        "again and again": {"loop": [1, 2]},
        "environment": {"environment": {"SOME": "thing"}},
        "background": {"async": 60, "poll": 1},
        "other user": {"become": True, "become_method": "su", "become_flags": "--shell /bin/sh"},
        "other Python": {"vars": {"ansible_python_interpreter": "/usr/bin/python3"}},
        "wrong arguments": {"ignore_errors": True},
    }
    tasks: list[dict[str, object]] = []
    for kind, words in kinds.items():
        files = [{"path": str(tmp_path / kind), "content": "{{ item | default('x') }}"}]
        arguments = {"files": files, **({"no_such": 1} if kind == "wrong arguments" else {})}
        tasks.append({"name": kind, "slipway.release.text_files": arguments, **words})
    said = play(tmp_path, "checkout", tasks, "-vvv", progress=False)
    parts = re.split(r"^TASK \[(.*?)\].*$", said, flags=re.MULTILINE)
    sent = {kind for kind, text in zip(parts[1::2], parts[2::2], strict=True) if "Using module file" in text}
    assert sent == {"environment", "background", "other user", "other Python", "wrong arguments"}
    assert {kind for kind in kinds if (tmp_path / kind).is_file()} == kinds.keys() - {"wrong arguments"}
    assert (tmp_path / "again and again").read_text() == "2"
    assert "Unsupported parameters for (slipway.release.text_files) module: no_such" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_module_started_ends_with_ansible(tmp_path: Path, number: signal.Signals) -> None:
    """A server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"git://127.0.0.1:{server.getsockname()[1]}/x.git"
        ref = {"repository": url, "ref": "refs/heads/x", "commit": "0" * 40}
        words, environment = prepare(tmp_path, "checkout", [{"slipway.release.git_ref": ref}], progress=False)
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
            server.settimeout(60)
            server.accept()[0].detach()
            assert list_programs(url)
            process.send_signal(number)
            process.communicate(timeout=60)
    assert process.returncode != 0
    limit = time.monotonic() + 10
    while list_programs(url) and time.monotonic() < limit:
        time.sleep(0.1)
    assert list_programs(url) == []


def list_programs(word: str) -> list[str]:
    """The commands of all processes that have a word among theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if word in words:
            found.append(" ".join(words))
    return found

"""Stacks that servers have: git daemon, svnserve, hg serve and brz serve on the loopback, by the modules themselves."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publishing import run_module
from vcs import HOME, Stack, call, make_stack


@contextlib.contextmanager
def serve(*words: str) -> Iterator[int]:
    """Run a server on a free port, which stands as {port} in its words."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {"PATH": "/usr/bin:/bin", "HOME": HOME, "HGRCPATH": "", "BRZ_LOG": "/dev/null"}
    process = subprocess.Popen(
        [word.format(port=port) for word in words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(400):
            assert process.poll() is None, f"{words[0]} ended"
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def served(kind: str, stack: Stack) -> Iterator[dict[str, Any]]:
    """The values of the rule for who comes over the network."""
    with contextlib.ExitStack() as running:
        if kind == "svn":
            (stack.top / "repo/conf/svnserve.conf").write_text("[general]\nanon-access = write\n")
            words = ("svnserve", "--daemon", "--foreground", "--listen-host=127.0.0.1", "--listen-port={port}")
            port = running.enter_context(serve(*words, f"--root={stack.top}"))
            yield {
                key: url.replace(f"file://{stack.top}", f"svn://127.0.0.1:{port}") for key, url in stack.values.items()
            }
        elif kind == "hg":
            words = ("hg", "serve", "--address=127.0.0.1", "--port={port}", "--cwd", stack.uri)
            allowed = ("--config=web.push_ssl=no", "--config=web.allow-push=*")
            port = running.enter_context(serve(*words, *allowed))
            yield {**stack.values, "uri": f"http://127.0.0.1:{port}/"}
        elif kind == "bzr":
            words = (
                "brz",
                "serve",
                "--allow-writes",
                "--listen=127.0.0.1",
                "--port={port}",
                f"--directory={stack.top}",
            )
            port = running.enter_context(serve(*words))
            yield {**stack.values, "uri": f"bzr://127.0.0.1:{port}/work"}
        else:
            words = ("/usr/lib/git-core/git-daemon", "--listen=127.0.0.1", "--port={port}", "--export-all")
            port = running.enter_context(serve(*words, "--enable=receive-pack", f"--base-path={stack.top}"))
            yield {**stack.values, "uri": f"git://127.0.0.1:{port}/repo.git"}


@pytest.mark.parametrize("kind", ["git", "svn", "hg", "bzr"])
def test_a_stack_is_checked_out_and_tagged_over_the_network(kind: str, tmp_path: Path) -> None:
    stack = make_stack(kind, tmp_path / "stack")
    revision = stack.commit("one\n")
    with served(kind, stack) as values:
        asked = {"kind": kind, "values": values, "directory": str(tmp_path / "nav")}
        would = run_module("stack_checkout", asked, check=True)
        assert (would["changed"], would["epoch"]) == (True, stack.read_epoch(revision))
        assert not (tmp_path / "nav").exists()
        done = run_module("stack_checkout", asked)
        assert (done["changed"], done["revision"], done["before"]) == (True, revision, None)
        assert done["release_tag"] == {"name": values["release-tag"], "revision": None, "kind": None, "signed": None}
        for tag in ("release", "distro"):
            tagging = {"kind": kind, "values": values, "tag": tag, "revision": revision, "annotation": "Tag nav"}
            assert run_module("vcs_tag", tagging, check=True)["changed"]
            assert stack.read_tag(stack.values[f"{tag}-tag"]) == ""
            made = run_module("vcs_tag", tagging)
            assert (made["changed"], made["before"], made["tag_name"]) == (True, None, values[f"{tag}-tag"])
            assert stack.read_tag(stack.values[f"{tag}-tag"]) == revision
            assert not run_module("vcs_tag", tagging)["changed"]
        again = run_module("stack_checkout", {**asked, "at": "release"})
        assert (again["changed"], again["revision"]) == (False, revision)
        assert [again[f"{tag}_tag"]["revision"] for tag in ("release", "distro")] == [revision] * 2


def test_externals_are_updated_on_a_server_and_shown_first(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    stack.commit("one\n")
    root = stack.uri.removesuffix("/nav/trunk")
    call("svn", "mkdir", "-q", "--parents", "-m", "x", f"{root}/all/trunk")
    (tmp_path / "value").write_text("^/nav/trunk nav\n^/other o\n")
    call("svnmucc", "-m", "x", "propsetf", "svn:externals", tmp_path / "value", f"{root}/all/trunk")
    with served("svn", stack) as values:
        url = values["dev"].replace("/nav/trunk", "/all/trunk")
        asked = {"url": url, "commit_message": "Update", "stacks": {"nav": {"version": "1.0", "values": values}}}
        shown = run_module("svn_externals", asked, check=True)
        assert [(diff["before"], diff["after"]) for diff in shown["diff"]] == [
            ("^/nav/trunk nav\n^/other o\n", "^/nav/tags/nav-1.0 nav\n^/other o\n")
        ]
        done = run_module("svn_externals", asked)
        assert (done["changed"], done["others"], done["updated"][0]["target"]) == (True, ["o"], "nav")
        assert call("svn", "info", "--show-item", "last-changed-revision", url) == done["commit"]
        assert not run_module("svn_externals", asked)["changed"]


@pytest.mark.parametrize(
    ("module", "asked", "message"),
    [
        (
            "stack_checkout",
            {"kind": "git", "values": {"uri": "ext::sh -c evil", "dev-branch": "x"}, "directory": "/nowhere/x"},
            "Could not use the rules of a stack's source (git): uri: it is neither a URL nor an absolute path. "
            "Correct the distro file and run again.",
        ),
        (
            "vcs_tag",
            {"kind": "hg", "values": {"uri": "ssh://-oProxyCommand=x/y", "dev-branch": "-x"}, "tag": "release",
             "revision": "1"},
            "2 problems",
        ),
        ("svn_externals", {"url": "svn+x://h/y", "commit_message": "x", "stacks": {}}, "svn+x:// is not among"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_in_a_sentence(module: str, asked: dict[str, Any], message: str) -> None:
    assert message in run_module(module, asked)["msg"]

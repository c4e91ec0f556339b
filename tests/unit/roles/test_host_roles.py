"""Roles for hosts have one shape, and what they share is in roles of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
HOSTS = (
    "apt_archive",
    "build_host",
    "coordinator",
    "deb_build_host",
    "debs_watch",
    "download_server",
    "mason",
    "mirror",
    "refresh_timer",
    "release_watch",
    "trove",
)
SHARED = ("build_tools", "farm_access", "packages", "upload_account", "web_site")
STEPS = ["preflight", "install", "configure", "verify"]


def tasks(role: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), task


@pytest.mark.parametrize("role", HOSTS)
def test_a_host_role_looks_installs_configures_and_verifies_in_this_order(role: str) -> None:
    steps = []
    for task in yaml.safe_load((ROOT / "roles" / role / "tasks/main.yml").read_text(encoding="utf-8")):
        static, dynamic = task.get("ansible.builtin.import_tasks"), task.get("ansible.builtin.include_tasks")
        file = static or dynamic["file"]
        assert task["tags"] == [f"{role}_{file.removesuffix('.yml')}"]
        assert static or dynamic["apply"] == {"tags": task["tags"]}
        steps.append(file.removesuffix(".yml"))
    assert steps == STEPS


@pytest.mark.parametrize("role", [*HOSTS, *SHARED])
def test_loop_variables_are_those_of_the_role(role: str) -> None:
    for path, task in tasks(role):
        if "loop" in task:
            name = task["loop_control"]["loop_var"]
            assert name.startswith(f"__{role}_"), f"{path}: {task['name']}: {name} is to begin with __{role}_"
            assert name.endswith("_item"), f"{path}: {task['name']}: {name} is to end with _item"


@pytest.mark.parametrize("role", HOSTS)
def test_what_several_roles_do_is_done_by_one(role: str) -> None:
    for path, task in tasks(role):
        text = yaml.safe_dump(task)
        faults = [
            word for word in ("ansible.builtin.apt:", "dpkg-query", "nginx.service", "/etc/nginx/") if word in text
        ]
        assert not faults or "fail_msg" in text, f"{path}: {task['name']}: leave {faults} to one of the roles {SHARED}"


@pytest.mark.parametrize("role", [*HOSTS, *SHARED])
def test_a_role_reaches_into_no_other(role: str) -> None:
    top = ROOT / "roles" / role
    links = [path for path in top.rglob("*") if path.is_symlink() and not path.resolve().is_relative_to(top)]
    assert links == []
    for path, task in tasks(role):
        assert "role_path" not in yaml.safe_dump(task), f"{path}: {task['name']}"


def test_nginx_is_reloaded_only_after_it_was_tested() -> None:
    (reload,) = (task["slipway.release.systemd_unit"] for _, task in tasks("web_site") if "nginx.service" in str(task))
    (configure,) = (
        task["slipway.release.text_files"] for _, task in tasks("web_site") if "slipway.release.text_files" in task
    )
    assert configure["validate"][:2] == ["nginx", "-t"]
    assert reload["reload"] is True
    reloads = [
        path for path in (ROOT / "roles").glob("*/*/*.yml") if "nginx.service" in path.read_text(encoding="utf-8")
    ]
    assert [path.relative_to(ROOT).parts[1] for path in reloads] == ["web_site"]


def test_what_runs_is_started_by_what_looks_at_the_host_and_not_at_this_run_alone() -> None:
    """A run may have been killed between writing a configuration and restarting its service."""
    for role in (*HOSTS, *SHARED):
        for path, task in tasks(role):
            state = task.get("ansible.builtin.systemd_service", {}).get("state", "stopped")
            assert state == "stopped", f"{path}: {task['name']}: leave it to slipway.release.systemd_unit"
            assert "ansible.builtin.service" not in task, f"{path}: {task['name']}"

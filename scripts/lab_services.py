"""What this machine does for the hosts of a lab: names, and the gateway to packages."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.files import link_atomic, write_atomic
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for

from scripts.lab_base import Mirror
from scripts.lab_fleet import ROOT, Lab
from scripts.lab_process import end, find_running, send, start


def ensure(lab: Lab, cache: Path, *, sources: Mirror, wheels: Path) -> None:
    """Ensure that both services run, with the current hosts and wheels."""
    (lab.directory / "www").mkdir(exist_ok=True)
    link_atomic(lab.directory / "www/wheels", str(wheels))
    names = "".join(f"{lab.address(host)} {host.name}\n" for host in lab.hosts)
    write_atomic(lab.directory / "names", names.encode())
    if (pid := find_running(_record_path(lab, "dnsmasq"))) is not None:
        send(pid, signal.SIGHUP)
    else:
        _start(lab, "dnsmasq", _dnsmasq_command(lab, sources), {})
    if find_running(_record_path(lab, "gateway")) is None:
        proxied = sources.proxy.startswith("http")  # and not DIRECT
        _start(lab, "gateway", _gateway_command(lab, cache, sources), {"http_proxy": sources.proxy} if proxied else {})
    for name, port in (("dnsmasq", 53), ("gateway", 80)):
        _wait(lab, name, port)


def end_all(lab: Lab) -> None:
    """End the services, and connections of ssh that are still shared."""
    for name in ("gateway", "dnsmasq"):
        end(_record_path(lab, name), what=f"the lab's {name}")
    if lab.control.is_dir():
        for shared in lab.control.iterdir():
            words = ["ssh", "-O", "exit", "-o", f"ControlPath={shared}", "lab"]
            run(words, attempt="close", on=str(shared), ok_codes=(0, 255), timeout=10)
        shutil.rmtree(lab.control)


def _dnsmasq_command(lab: Lab, sources: Mirror) -> list[str]:
    mirrors = [f"--address=/{name}/{lab.gateway}" for name in sources.upstreams]
    return [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--log-facility=-"),
        *(f"--listen-address={lab.gateway}", "--bind-interfaces", "--no-resolv", "--no-hosts"),
        *(f"--addn-hosts={lab.directory / 'names'}", *mirrors),
    ]


def _gateway_command(lab: Lab, cache: Path, sources: Mirror) -> list[str]:
    upstreams = [word for name, url in sources.upstreams.items() for word in ("--upstream", f"{name}={url}")]
    return [
        *(sys.executable, "-B", "-m", "scripts.lab_gateway", "--listen", lab.gateway),
        *("--files", str(lab.directory / "www"), "--packages", str(cache / "packages"), *upstreams),
    ]


def _start(lab: Lab, name: str, argv: list[str], env: dict[str, str]) -> None:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'collections'}", **env}
    start(argv, record=_record_path(lab, name), log=_log_path(lab, name), env=environment)


def _wait(lab: Lab, name: str, port: int) -> None:
    wait_for(
        lambda: (
            "up"
            if _is_listening(lab.gateway, port)
            else "starting"
            if find_running(_record_path(lab, name))
            else "gone"
        ),
        lambda state: state == "up",
        lambda state: state == "starting",
        attempt="start",
        on=f"the lab's {name} on {lab.gateway}:{port}",
        timeout=60,
        interval=0.05,
        do_next="Read what it said.",
        log=str(_log_path(lab, name)),
    )


def _is_listening(address: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


def _record_path(lab: Lab, name: str) -> Path:
    return lab.directory / f"{name}.json"


def _log_path(lab: Lab, name: str) -> Path:
    return lab.directory / f"{name}.log"

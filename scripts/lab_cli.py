"""Several real hosts on this machine, as docs/lab.md describes them."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_flock

from scripts import lab_cuts, lab_fleet, lab_host, lab_network, lab_services, lab_settings
from scripts.lab_base import ensure_base, ensure_wheels, read_mirror
from scripts.lab_fleet import Host, Lab
from scripts.lab_process import end_unread, require_programs, run_command

INTERRUPTED = "Interrupted. What is half done is put right by the next `up`, or taken away by `down`."
MACHINE_LOCK = Path("/run/lock/slipway-lab")
#: How many watches of files root may have on this kernel; each host's systemd has several, and the default is 128.
WATCHES, ENOUGH_WATCHES = Path("/proc/sys/fs/inotify/max_user_instances"), 1024


def up(directory: Path, cache: Path, given: argparse.Namespace) -> None:
    """Bring hosts up, all or those named: what runs already goes on, and every cut is fixed."""
    require_programs("dnsmasq", "ip", "mmdebstrap", "mount", "nft", "ssh", "ssh-keygen", "systemd-nspawn")
    if int(WATCHES.read_text(encoding="ascii")) < ENOUGH_WATCHES:
        WATCHES.write_text(f"{ENOUGH_WATCHES}\n", encoding="ascii")
    with hold_flock(MACHINE_LOCK, attempt="choose a network for", on=str(directory), timeout=60):
        lab = lab_settings.make_lab(directory, given.inventory)
        lab_network.ensure_bridge(lab)
    wanted, sources = lab.select_hosts(given.hosts), read_mirror()
    trees = {suite: ensure_base(cache, sources, suite) for suite in sorted({host.suite for host in wanted})}
    for host in lab.hosts:
        lab_host.make_key(lab_host.host_key_path(lab, host), host.name)
    lab_settings.write_ssh(lab)
    lab_services.ensure(lab, cache, sources=sources, wheels=ensure_wheels(cache, {host.suite for host in lab.hosts}))
    for host in wanted:
        if not lab_host.is_running(lab, host):
            lab_host.launch(lab, host, base=trees[host.suite], sources=sources)
        lab_network.plug(lab, host, plugged=True)
    for pair in lab_cuts.list_cuts(lab):
        if set(pair) & set(wanted):
            lab_cuts.remove_cut(lab, *pair)
    for host in wanted:
        lab_host.wait_until_up(lab, host)
    for host in wanted:
        install(lab, host)
    show(lab)


def install(lab: Lab, host: Host) -> None:
    """The packages that the inventory wants on a new disk."""
    done, wanted = lab.home(host) / "packages", " ".join(host.packages)
    if wanted and not (done.exists() and done.read_text(encoding="utf-8") == wanted):
        # The host's own apt may be at work: its timers start soon after it.
        text = Path(__file__).with_name("apt-when-free").read_text(encoding="utf-8")
        apt_get = ["bash", "-c", text, "apt-when-free"]
        words = ["install", "-y", "-qq", "--no-install-recommends", *host.packages]
        script = (
            "export DEBIAN_FRONTEND=noninteractive APT_WAIT=240; "
            f"{shlex.join([*apt_get, 'update', '-qq'])} && {shlex.join([*apt_get, *words])}"
        )
        remote = ["ssh", "-F", str(lab.ssh / "config"), host.name, script]
        run_command(*remote, attempt=f"install {wanted} on", on=host.name, timeout=600)
        done.write_text(wanted, encoding="utf-8")


def down(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Switch hosts off and forget their disks; without names the whole lab is taken away."""
    if (lab := lab_settings.read_lab(directory)) is None:
        return
    chosen = lab.select_hosts(given.hosts)
    for host in chosen:
        lab_host.ask_to_stop(lab, host)
    for host in chosen:
        lab_host.stop(lab, host)
        lab_host.remove_disk(lab, host)
    if not given.hosts:
        lab_services.end_all(lab)
        lab_cuts.remove_all(lab)
        lab_network.remove_bridge(lab)
        lab_settings.forget(lab)


def status(directory: Path, _cache: Path, _given: argparse.Namespace) -> None:
    """Show what runs."""
    show(find_lab(directory))


def start(directory: Path, cache: Path, given: argparse.Namespace) -> None:
    """Switch a host on again, with the disk that it had."""
    lab, host = find_lab(directory), find_host(directory, given)
    if not lab_host.is_running(lab, host):
        sources = read_mirror()
        lab_host.launch(lab, host, base=ensure_base(cache, sources, host.suite), sources=sources)
    lab_host.wait_until_up(lab, host)


def stop(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Shut a host down; its disk stays."""
    lab_host.stop(find_lab(directory), find_host(directory, given))


def crash(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Kill everything on a host at once, as if its power had gone; its disk stays."""
    lab_host.crash(find_lab(directory), find_running_host(directory, given))


def partition(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Pull a host's network cable, or cut it off from one other host only."""
    lab, host = find_lab(directory), find_running_host(directory, given)
    if given.other:
        lab_cuts.add_cut(lab, host, lab.select_hosts([given.other])[0])
    else:
        lab_network.plug(lab, host, plugged=False)


def heal(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Undo what partition did, with the same words."""
    lab, host = find_lab(directory), find_running_host(directory, given)
    if given.other:
        lab_cuts.remove_cut(lab, host, lab.select_hosts([given.other])[0])
    else:
        lab_network.plug(lab, host, plugged=True)


def execute(directory: Path, _cache: Path, given: argparse.Namespace) -> None:
    """Run a command on a host by ssh, or a shell."""
    lab, host = find_lab(directory), find_host(directory, given)
    words = ["--", shlex.join(given.command)] if given.command else []
    sys.exit(subprocess.run(["ssh", "-F", lab.ssh / "config", host.name, *words], check=False).returncode)


def find_lab(directory: Path) -> Lab:
    """The lab that is there."""
    if (lab := lab_settings.read_lab(directory)) is None:
        raise SlipwayError("find a lab in", str(directory), "there is none", do_next="Bring it up first: make lab.")
    return lab


def find_host(directory: Path, given: argparse.Namespace) -> Host:
    """The one host that a verb is about."""
    return find_lab(directory).select_hosts([given.host])[0]


def find_running_host(directory: Path, given: argparse.Namespace) -> Host:
    """The one host that a verb is about, which must be switched on."""
    host = find_host(directory, given)
    if not lab_host.is_running(find_lab(directory), host):
        raise SlipwayError(given.verb, host.name, "it is off", do_next=f"Switch it on: scripts/lab start {host.name}.")
    return host


def show(lab: Lab) -> None:
    """A line for the lab and one for each host."""
    print(f"lab {lab.identity} on {lab.network}, in {lab.directory}")
    cuts = lab_cuts.list_cuts(lab)
    for host in lab.hosts:
        state = "off" if not lab_host.is_running(lab, host) else "running"
        if state == "running" and not lab_network.is_plugged(lab, host):
            state += ", cut off"
        elif others := [other.name for one, other in cuts if one == host]:
            state += f", cut off from {', '.join(sorted(others))}"
        print(f"  {host.name:<20} {lab.address(host):<15} {state}")


VERBS: dict[str, Callable[[Path, Path, argparse.Namespace], None]] = {
    "up": up,
    "down": down,
    "status": status,
    "start": start,
    "stop": stop,
    "crash": crash,
    "partition": partition,
    "heal": heal,
    "exec": execute,
}
UNLOCKED = ("status", "exec")


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """The command line. Behind the first ``--`` is a command for a host, of which argparse would drop every one."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--directory", type=Path, help="the lab's directory, instead of SLIPWAY_LAB")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, function in VERBS.items():
        verb = verbs.add_parser(name, help=function.__doc__)
        if name in ("up", "down"):
            verb.add_argument("hosts", nargs="*", metavar="HOST")
        elif name != "status":
            verb.add_argument("host", metavar="HOST")
        if name in ("partition", "heal"):
            verb.add_argument("other", nargs="?", metavar="OTHER")
        if name == "up":
            verb.add_argument("--inventory", type=Path, help="a YAML inventory, instead of inventory/lab/hosts.yml")
        if name == "exec":
            verb.add_argument("command", nargs="*", metavar="WORD")
    end = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:end])
    if end < len(words):
        if given.verb != "exec":
            parser.error(f"{given.verb} takes no command")
        given.command += words[end:] if given.command else words[end + 1 :]
    return given


@contextmanager
def lock_lab(directory: Path, verb: str) -> Iterator[None]:
    """One command at a time works on a lab, except those that only look."""
    if verb in UNLOCKED or (verb != "up" and not directory.is_dir()):
        yield
        return
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with hold_flock(directory, attempt="work on", on=str(directory), timeout=300):
        yield


def main() -> None:
    """Do what the command line says."""
    given = parse_arguments(sys.argv[1:])
    directory = given.directory.resolve() if given.directory else lab_fleet.default_directory()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    try:
        if os.geteuid() != 0:
            raise SlipwayError(
                "run", "hosts on this machine", "only root may", do_next="Run it as root, as in `sudo make lab`."
            )
        require_programs("ip", "mount", "nft", "ssh")
        with lock_lab(directory, given.verb):
            VERBS[given.verb](directory, lab_fleet.default_cache(), given)
        sys.stdout.flush()
    except BrokenPipeError:
        end_unread()
    except SlipwayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()

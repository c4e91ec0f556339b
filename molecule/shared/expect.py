"""Run commands one after the other, and say which did not end as it must: python3 expect.py [REFUSED] <WANTED

WANTED is JSON: a list of objects. Each has `run`, a shell's command or a list of words, and either `answer` (all that
it must print), or `shows` (parts of that), or `refused`: what it must say while it fails and prints nothing. Commands
with none of these must be REFUSED. Ansible needs as long for one task as this for a dozen commands. Hosts run it, too.
"""

import json
import subprocess
import sys

#: So a connection ends that never came to what was to be refused.
ELSEWHERE = ("Host key verification failed", "Permission denied (", "Connection refused", "timed out", "command not")


def fault(wanted):
    """Why a command did not end as it must; nothing if it did."""
    if not {"answer", "shows", "refused"} & wanted.keys():
        wanted = {**wanted, "refused": sys.argv[1]}
    run = wanted["run"]
    words = ["bash", "-o", "pipefail", "-c", run] if isinstance(run, str) else run
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "it took more than a minute"
    said, answer = (text.decode(errors="replace").rstrip("\n") for text in (done.stderr, done.stdout))
    if "refused" in wanted:
        elsewhere = [text for text in ELSEWHERE if text in said and text != wanted["refused"]]
        good = done.returncode != 0 and wanted["refused"] in said and not answer and not elsewhere
    elif "shows" in wanted:
        good = done.returncode == 0 and all(text in answer for text in wanted["shows"])
    else:
        good = done.returncode == 0 and answer == wanted["answer"]
    return None if good else f"status {done.returncode}, said {said!r}, printed {answer!r}"


def main():
    """Try all, so that one run shows all faults."""
    tries = json.load(sys.stdin)
    faults = {f"{wanted.get('what') or wanted['run']}": fault(wanted) for wanted in tries}
    if not tries or len(faults) != len(tries):
        sys.exit("nothing to try, or two tries that have the same name")
    for name, text in faults.items():
        print("ok  " if text is None else "FAULT", name, text or "")
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

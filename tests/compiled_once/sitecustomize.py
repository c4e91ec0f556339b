"""Python compiles what it imports out of a zip once, as it does with files: Ansible sends each module as a zip.

A third of a module's time goes into compiling the same files again. A directory on PYTHONPATH, or a .pth file, has this
imported at Python's start. What was compiled is kept in a directory of the user's own, by the digest of its source.
And most programs of tests end before there is much garbage to be looked for.
"""

import _imp
import gc
import marshal
import os
import sys
import zipimport

gc.set_threshold(100_000, 20, 50)
DIRECTORY = os.environ.get("SLIPWAY_COMPILED_ONCE") or "/var/cache/compiled-once"


def use(directory: str) -> None:
    """Keep what is compiled in this directory, if nobody else can write there."""
    try:
        status = os.stat(directory)
    except OSError:
        return
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return
    original = zipimport._compile_source

    def compile_source(path, source):
        keep_dataclasses(directory)  # what Ansible sends has them
        return compiled(directory, path, source, original)

    zipimport._compile_source = compile_source
    if any("ansible" in os.path.basename(word) for word in sys.orig_argv[:2]):
        keep_dataclasses(directory)
        if payloads := os.environ.get("SLIPWAY_TEST_PAYLOADS"):
            import parsed_once

            parsed_once.use(payloads, write)


def keep_dataclasses(directory):
    """Keep the methods that dataclasses get, too, each of which Python writes as text and compiles."""
    import atexit
    import dataclasses

    if hasattr(dataclasses, "exec"):
        return
    pack = f"{directory}/{sys.implementation.cache_tag}-dataclasses"
    try:
        with open(pack, "rb") as stream:
            known = marshal.load(stream)  # noqa: S302  # which only this user could write
    except (OSError, ValueError, EOFError, TypeError):
        known = {}
    before = len(known)

    def execute(text, variables, names):
        if (kept := known.get(text)) is None:
            kept = known[text] = marshal.dumps(compile(text, "<string>", "exec"))
        exec(marshal.loads(kept), variables, names)  # noqa: S302, S102  # as dataclasses do it with its text

    def keep():
        if len(known) > before:
            write(pack, marshal.dumps(known))

    dataclasses.exec = execute
    atexit.register(keep)


def write(path, content):
    """Replace a file at one moment, if there is room."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except OSError:
        pass  # the disk is full, say


def compiled(directory, path, source, original):
    """The code of a source: the kept one with the name of the file that it is of now, or a new one."""
    import hashlib

    kept = f"{directory}/{sys.implementation.cache_tag}-{hashlib.sha256(source).hexdigest()}"
    try:
        with open(kept, "rb") as stream:
            code = marshal.load(stream)  # noqa: S302  # which only this user could write
        _imp._fix_co_filename(code, path)
        return code
    except (OSError, ValueError, EOFError, TypeError):
        pass  # it is not there yet, or half of it is
    code = original(path, source)
    write(kept, marshal.dumps(code))
    return code


use(DIRECTORY)

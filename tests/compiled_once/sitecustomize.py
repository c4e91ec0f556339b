"""Python compiles what it imports out of a zip once, as it does with files: Ansible sends each module as a zip.

A third of a module's time goes into compiling the same files again. A directory on PYTHONPATH, or a .pth file, has this
imported at Python's start. What was compiled is kept in a directory of the user's own, by the digest of its source.
"""

import _imp
import marshal
import os
import sys
import zipimport

DIRECTORY = os.environ.get("SLIPWAY_COMPILED_ONCE") or "/var/cache/compiled-once"


def use(directory: str) -> None:
    """Keep what is compiled in this directory, if nobody else can write there."""
    try:
        status = os.stat(directory)
    except OSError:
        return
    if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        original = zipimport._compile_source
        zipimport._compile_source = lambda path, source: compiled(directory, path, source, original)


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
    temporary = f"{kept}.{os.getpid()}"
    try:
        with open(temporary, "wb") as stream:
            marshal.dump(code, stream)
        os.replace(temporary, kept)
    except OSError:
        pass  # the disk is full, say
    return code


use(DIRECTORY)

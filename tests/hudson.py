# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Hudson on the loopback interface: the war of Maven Central, with a user, crumbs and no plugins."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

VERSION = "3.3.2"
SHA256 = "29db3f39025edbd547f445a9d46b9a9eff9ddf1411cde2adc8b52b3503f9536c"
PATH = f"org/eclipse/hudson/hudson-war/{VERSION}/hudson-war-{VERSION}.war"
MAVEN = os.environ.get("SLIPWAY_TEST_MAVEN", "https://repo1.maven.org/maven2")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway/tests"
USER, PASSWORD = "slipway", "a secret <word>"
#: What Hudson and its XStream reach into, which Java has closed since. Java 8 does not know the variable.
OPENS = (
    *(f"java.base/java.{name}" for name in ("io", "lang", "lang.reflect", "net", "text", "util", "util.concurrent")),
    "java.desktop/java.awt.font",
)
SECURITY = """<hudsonSecurityManager>
  <useSecurity>true</useSecurity>
  <authorizationStrategy class="hudson.security.FullControlOnceLoggedInAuthorizationStrategy"/>
  <securityRealm class="hudson.security.HudsonPrivateSecurityRealm"><disableSignup>true</disableSignup></securityRealm>
</hudsonSecurityManager>
"""
CONFIG = """<hudson>
  <numExecutors>1</numExecutors>
  <quietPeriod>0</quietPeriod>
  <noUsageStatistics>true</noUsageStatistics>
  <slaveAgentPort>-1</slaveAgentPort>
  <crumbIssuer class="hudson.security.csrf.DefaultCrumbIssuer"/>
</hudson>
"""
# The war's own launcher takes the second number of Java's version for its age, and refuses 11 and 17 as too old. Jetty
# takes a blank between items for one.
START = """<Configure id="Server" class="org.eclipse.jetty.server.Server">
  <Call class="org.eclipse.hudson.jetty.JettyLauncher" name="start">
    <Arg><Array type="java.lang.String">{items}</Array></Arg>
    <Arg><New class="java.net.URL"><Arg>{war}</Arg></New></Arg>
  </Call>
</Configure>
"""


class NoHudsonError(Exception):
    """It cannot be started here; the message says why."""


@dataclass(frozen=True)
class Hudson:
    """A server that runs."""

    url: str
    home: Path


def provide_war() -> Path:
    """The war, fetched once."""
    path = CACHE / Path(PATH).name
    if not path.exists():
        try:
            with urllib.request.urlopen(f"{MAVEN}/{PATH}", timeout=60) as answer:  # noqa: S310
                data = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise NoHudsonError(f"NO HUDSON: {MAVEN} has no hudson-war {VERSION} for us: {error}") from error
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            new.write(data)
        Path(new.name).replace(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise NoHudsonError(f"NO HUDSON: {path} has another digest than hudson-war {VERSION}: remove it")
    return path


@contextlib.contextmanager
def hudson(directory: Path) -> Iterator[Hudson]:
    """A server whose home is in ``directory``, for the time of the block."""
    java = shutil.which("java")
    if java is None:
        raise NoHudsonError("NO HUDSON: Java is not installed (Debian's package openjdk-17-jre-headless)")
    war = provide_war()
    home = directory / "home"
    write_home(home)
    with zipfile.ZipFile(war) as archive:
        archive.extractall(directory, [name for name in archive.namelist() if name.startswith("libs/")])
    with socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]
    arguments = (f"--httpPort={port}", "--httpListenAddress=127.0.0.1", "--skipInitSetup")
    items = "".join(f"<Item>{each}</Item>" for each in arguments)
    (directory / "start.xml").write_text(START.format(items=items, war=escape(war.as_uri())))
    options = " ".join(f"--add-opens {name}=ALL-UNNAMED" for name in OPENS)
    environment = {"PATH": os.defpath, "HOME": str(home), "HUDSON_HOME": str(home), "LANG": "C.UTF-8"}
    environment["JDK_JAVA_OPTIONS"] = options
    words = [java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
    words += ["-cp", f"{directory}/libs/*", "org.eclipse.jetty.xml.XmlConfiguration", str(directory / "start.xml")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            words, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        wait_until_ready(process, directory / "log")
        yield Hudson(f"http://127.0.0.1:{port}", home)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def write_home(home: Path) -> None:
    user = home / "users" / USER
    user.mkdir(parents=True)
    (home / "config.xml").write_text(CONFIG)
    (home / "hudson-security.xml").write_text(SECURITY)
    digest = hashlib.sha256(f"{PASSWORD}{{salt}}".encode()).hexdigest()
    details = "hudson.security.HudsonPrivateSecurityRealm_-Details"
    (user / "config.xml").write_text(
        f"<user><properties><{details}><passwordHash>salt:{digest}</passwordHash></{details}></properties></user>"
    )


def wait_until_ready(process: subprocess.Popen[bytes], log: Path, *, limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while b"Hudson is ready." not in (told := log.read_bytes()):
        failed = b"Failed to initialize Hudson" in told or process.poll() is not None
        if failed or time.monotonic() > deadline:
            raise AssertionError(f"Hudson did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)

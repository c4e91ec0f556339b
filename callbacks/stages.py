# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows on the terminal which stage of a release runs and how far it is, and at the end what came of it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stages
type: stdout
author: The Slipway developers (@slipway)
version_added: "0.1.0"
short_description: Show the stages of a release, and at the end what came of it
description:
  - Shows one line for each stage, which is a role of a playbook. While it runs, a terminal shows how far it is, at
    which rate, since when, and how long that probably takes by the last release. In a log there is a line when there
    are news, and a dot every ten seconds without.
  - Shows a failure once, and at the end what is public where, what took how long, all warnings again, and what to do.
  - Diffs, messages of C(ansible.builtin.debug) and warnings are shown as they come. With C(-v) and more it shows what
    C(ansible.builtin.default) shows.
requirements:
  - Set as C(stdout_callback) in the configuration.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  command:
    description: The command that is to be given again after a failure. By default the one that runs.
    type: str
    default: ""
    env:
      - name: SLIPWAY_COMMAND
"""

import atexit
import gc
import importlib
import os
import pkgutil
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible.plugins.loader import filter_loader, test_loader

from ..module_utils.slipway.display.failures import hide_values, read_failure
from ..module_utils.slipway.display.live import LiveLine
from ..module_utils.slipway.display.outcome import Failure, Outcome, Run, format_summary, name_hosts
from ..module_utils.slipway.display.screen import Screen, can_redraw, choose_width
from ..module_utils.slipway.display.stages import Board, Stage, is_selected, name_stage_of_role
from ..module_utils.slipway.display.text import clip, fold, list_lines
from ..module_utils.slipway.yamltext import find_faults

__all__ = ["CallbackModule", "prepare_forks"]

OURS = "slipway.release."
#: Action plugins that run the module of the task.
RUNNERS = ("in_process", "live")
WARNINGS = ("[WARNING]: ", "[DEPRECATION WARNING]: ")
#: Ansible's own advice, which is about no warning.
ADVICE = "Deprecation warnings can be disabled"
#: Plays that are no stages are only mentioned if they changed something, or took as many seconds.
LONG = 10.0
#: Where variables are beside an inventory.
VARS = ("group_vars", "host_vars")


class CallbackModule(DefaultCallback):  # type: ignore[misc]  # ansible-core has no types
    """Tell the stages what happens, and the screen what they say."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "slipway.release.stages"

    def __init__(self) -> None:
        super().__init__()
        self._verbose = self._display.verbosity > 0
        self._process = os.getpid()
        self._show = self._display.display
        self._lock: threading.RLock = self._display._lock  # what Ansible holds while it forks
        self._screen: Screen | None = None
        self._board = Board([], clock=time.monotonic)
        self._outcome = Outcome()
        self._run = Run("", "")
        self._began = time.monotonic()
        self._numbers: dict[tuple[str, str], tuple[str, int]] = {}
        self._play_uuid = ""
        self._warnings: list[str] = []
        self._hosts: set[str] = set()
        self._headed: tuple[str, str] | None = None
        self._over = True
        self._asks = False

    # What Ansible calls.

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Find out which stages are to come."""
        if self._verbose:
            super().v2_playbook_on_start(playbook)
        with self._lock:
            self._start_screen()
            names, self._numbers = _list_stages(playbook)
            self._board = Board(names, clock=time.monotonic)
            self._outcome, self._hosts, self._over = Outcome(), set(), False
            self._began = time.monotonic()
            command = self.get_option("command") or shlex.join(
                hide_values([os.path.basename(sys.argv[0]), *sys.argv[1:]])
            )
            self._run = Run(os.path.basename(playbook._file_name), command, check=bool(context.CLIARGS.get("check")))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play without stages is one by itself."""
        if self._verbose:
            super().v2_playbook_on_play_start(play)
        prepare_forks()
        self._play = play
        with self._lock:
            self._play_uuid = play._uuid
            hosts = _find_hosts(play)
            self._board.several_hosts = self._board.several_hosts or (hosts is not None and len(hosts) > 1)
            if not any(uuid == play._uuid for uuid, _role in self._numbers):
                self._begin_stage(play.get_name().strip() or "play", 0)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Nothing is to be said of a part of the site that there is not."""
        if self._verbose:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """The failures say so."""
        if self._verbose:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """How a role is made up is its own affair."""
        if self._verbose:
            super().v2_playbook_on_include(included_file)

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        if self._verbose:
            super()._task_start(task, prefix)
        with self._lock:
            role = _find_role(task)
            if role is not None:
                tags = role.tags or []
                known = self._numbers.get((self._play_uuid, role.get_name()))
                current = self._board.current
                if known or (not role.from_include and not current):
                    name, number = known or (name_stage_of_role(role.get_name(), tags), 0)
                    # Handlers come at the end of a play, and are no stage a second time.
                    if current is None or number >= current.number:
                        self._begin_stage(name, number)
            if stage := self._board.current:
                checks_arguments = task.action.endswith("validate_argument_spec")
                stage.begin_task("" if checks_arguments else task.name or "", now=self._board.now())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Count it, and learn from it what becomes of the release."""
        self._take(result)
        if self._verbose:
            super().v2_runner_on_ok(result)
        elif not result.task.loop or "results" not in result.result:
            self._report(result)
        elif self._run.check and result.is_changed():
            self._head(result)
        if not self._verbose:
            self._handle_warnings(result.result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Items are no lines of their own, unless they are meant to be read."""
        if self._verbose:
            super().v2_runner_item_on_ok(result)
            return
        self._handle_warnings(result.result)
        if result.result.get("_ansible_verbose_always"):
            self._report(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """What is not done is not shown; a warning is."""
        if self._verbose:
            super().v2_runner_on_skipped(result)
        else:
            self._handle_warnings(result.result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """As for other tasks."""
        if self._verbose:
            super().v2_runner_item_on_skipped(result)
        else:
            self._handle_warnings(result.result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say once why."""
        told_by_items = bool(result.task.loop) and "results" in result.result
        self._fail(result, ignored=ignore_errors or _is_rescued(result.task), silent=told_by_items)
        if self._verbose:
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Say which item, and why."""
        ignored = bool(result.task_fields.get("ignore_errors")) or _is_rescued(result.task)
        self._fail(result, ignored=ignored, item=True)
        if self._verbose:
            super().v2_runner_item_on_failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A lost host is a failure, unless the playbook asks who is there."""
        self._fail(result, ignored=bool(result.task.ignore_unreachable), silent=bool(result.task.ignore_unreachable))
        if self._verbose:
            super().v2_runner_on_unreachable(result)

    def v2_runner_retry(self, result: Any) -> None:
        """A task that is tried again has not failed yet."""
        if self._verbose:
            super().v2_runner_retry(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """The stage's own line says that it goes on."""
        if self._verbose:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        """The task's own result says so."""
        if self._verbose:
            super().v2_runner_on_async_ok(result)

    def v2_on_file_diff(self, result: Any) -> None:
        """Show what changes, below the task that does it."""
        if self._verbose:
            super().v2_on_file_diff(result)
            return
        loops = result.task.loop and "results" in result.result
        for each in result.result["results"] if loops else [result.result]:
            if each.get("diff") and each.get("changed") and (diff := self._get_diff(each["diff"])):
                self._head(result)
                self._say(diff.rstrip("\n"))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say what came of it."""
        with self._lock:
            self._end_stage()
            self._over = True
            if self._screen is not None:
                self._screen.make_room()
        if self._verbose:
            super().v2_playbook_on_stats(stats)
        lost = {host for host, sums in _summarise(stats) if sums["failures"] or sums["unreachable"]}
        run = self._run
        run.failures = [failure for failure in run.failures if lost & set(failure.hosts)]
        run.seconds, run.hosts = time.monotonic() - self._began, len(self._hosts)
        run.stages = [(stage.name, (stage.ended or 0) - stage.began) for stage in self._board.stages if stage.number]
        run.warnings, self._warnings = self._warnings, []
        colour = constants.COLOR_ERROR if run.failures else constants.COLOR_OK
        first, *rest = format_summary(self._outcome, run, self._width, whole_words=not self._redraws)[1:]
        if rest:
            self._say("")
        self._say(first, color=colour)
        for line in rest:
            self._say(line)
        if stats.custom and self.get_option("show_custom_stats") and not self._verbose:
            for host, values in stats.custom.items():
                self._say(f"{'' if host == '_run' else f'{host}: '}{self._dump_results(values)}")

    # The stages.

    def _begin_stage(self, name: str, number: int) -> None:
        current = self._board.current
        if current is None or (current.name, current.number) != (name, number):
            self._end_stage()
            self._board.begin(name, number=number)

    def _end_stage(self) -> None:
        stage = self._board.end()
        if stage is None or not (stage.done or stage.failed):
            return
        took = (stage.ended or 0) - stage.began
        if not self._verbose and (stage.number or stage.changed or stage.failed or took >= LONG):
            line = self._board.format_ended(stage, self._width, check=self._run.check)
            self._say(line, color=_choose_colour(stage))

    def _take(self, result: Any) -> None:
        with self._lock:
            self._hosts.add(result.host.get_name())
            stage = self._board.current
            changed = result.is_changed()
            self._run.changed += changed
            if stage is not None:
                stage.done += 1
                stage.changed += changed
                stage.hosts.add(result.host.get_name())
            action = result.task.resolved_action
            if action is None or action.removeprefix(OURS) in RUNNERS:
                action = result.task.action  # of a loop, it is what the action plugin made of it
            before = self._outcome.label
            self._outcome.take(action.removeprefix(OURS), result.result, host=result.host.get_name())
            if self._outcome.label != before:
                self._board.expect(self._outcome.expect())
                if not self._verbose:
                    self._say("")
                    self._say(_introduce(self._outcome, check=self._run.check))

    def _fail(self, result: Any, *, ignored: bool = False, silent: bool = False, item: bool = False) -> None:
        if silent and ignored:
            return
        label = self._get_item_label(result.result) if item else None
        action = result.task.resolved_action or result.task.action
        found = read_failure(result.result, ours=action.startswith(OURS), item=label, where=result.task.get_path())
        task, host = result.task_name.rpartition(" : ")[2], result.host.get_name()
        if ignored:
            if not self._verbose:
                self._say(clip(f"ignored: {task}: {found.reason}", self._width), color=constants.COLOR_SKIP)
            return
        with self._lock:
            stage = self._board.current
            if stage is not None:
                stage.failed = True
                stage.hosts.add(host)
            if not silent:
                log = found.log or (stage.log if stage is not None else "")
                self._add_failure(Failure((host,), stage.name if stage is not None else "", task, found.reason, log))
        if not self._verbose:
            self._handle_warnings(result.result)

    def _add_failure(self, made: Failure) -> None:
        for number, known in enumerate(self._run.failures):
            if (known.task, known.reason) == (made.task, made.reason):
                if made.hosts[0] not in known.hosts:
                    hosts = (*known.hosts, *made.hosts)
                    self._run.failures[number] = Failure(hosts, known.stage, known.task, known.reason, known.log)
                    self._tell(f"FAILED on {made.hosts[0]} as well: {made.task}")
                return
        self._run.failures.append(made)
        self._tell(f"FAILED on {name_hosts(made.hosts)}: {made.task}", made.reason)

    def _tell(self, heading: str, reason: str = "") -> None:
        if self._verbose:
            return
        self._say(heading, color=constants.COLOR_ERROR)
        for line in fold(reason, self._width - 2, whole_words=not self._redraws) if reason else []:
            self._say(f"  {line}".rstrip())

    def _report(self, result: Any) -> None:
        """Show what a task that is done is there to say, and in check mode that it would change something."""
        said = result.result
        if self._run.check and result.is_changed():
            self._head(result)
        if not said.get("_ansible_verbose_always"):
            return
        host = f"{result.host.get_name()}: " if self._board.several_hosts else ""
        message = said.get("msg")
        if isinstance(message, (str, list)):
            text = "\n".join(list_lines(message))
        else:
            self._clean_results(said, result.task.action)
            text = self._dump_results(said).strip("\n")
        self._say("\n".join(fold(f"{host}{text}", self._width, whole_words=not self._redraws)))

    def _head(self, result: Any) -> None:
        """Say once which task it is whose changes follow."""
        host = result.host.get_name()
        if self._headed != (result.task._uuid, host):
            self._headed = (result.task._uuid, host)
            verb = "would change" if self._run.check else "changed"
            on = f" on {host}" if self._board.several_hosts else ""
            self._say(f"{verb}{on}: {result.task_name.rpartition(' : ')[2]}", color=constants.COLOR_CHANGED)

    # The screen.

    @property
    def _width(self) -> int:
        return self._screen.width if self._screen is not None else choose_width(None, os.environ)

    @property
    def _redraws(self) -> bool:
        return self._screen is not None and self._screen.redraws

    def _start_screen(self) -> None:
        """Once a run: see to all that is displayed, and show signs of life."""
        if self._screen is not None:
            return
        # A program that displays it in its own way, as ansible-runner, makes a class of its own name of this one.
        redraws = self.CALLBACK_NAME == CallbackModule.CALLBACK_NAME and can_redraw(
            os.environ, is_terminal=sys.stdout.isatty()
        )
        self._screen = Screen(sys.stdout, redraws=redraws, width=_measure_terminal, clock=time.monotonic)
        self._display.display = self._show_below
        if self._verbose:
            return
        for name in ("do_var_prompt", "prompt", "prompt_until"):
            setattr(self._display, name, self._ask_below(getattr(self._display, name)))
        atexit.register(self._leave)
        threading.Thread(target=self._beat, daemon=True, name="slipway-stages").start()

    def _say(self, text: str, color: str | None = None) -> None:
        self._display.display(text, color=color)

    def _show_below(self, msg: str, *arguments: Any, **options: Any) -> None:
        """In place of Ansible's own: whatever is displayed stands above the line that is redrawn."""
        if os.getpid() != self._process:
            self._show(msg, *arguments, **options)  # a worker's, which sends it here
            return
        with self._lock:
            if isinstance(msg, LiveLine) and self._take_live(msg) and not self._verbose:
                return
            if isinstance(msg, str) and msg.startswith(WARNINGS):
                self._note_warning(msg)
            if self._screen is None or self._verbose or options.get("log_only"):
                self._show(msg, *arguments, **options)
                return
            self._screen.make_room()
            self._show("\n".join(fold(msg, self._width)) if self._redraws else msg, *arguments, **options)
            sys.stdout.flush()
            self._screen.note()

    def _ask_below(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """In place of what asks the user: nothing is drawn over the question."""

        def ask_alone(*arguments: Any, **options: Any) -> Any:
            if os.getpid() != self._process or self._screen is None:
                return ask(*arguments, **options)
            with self._lock:
                self._screen.make_room()
                self._asks = True
            try:
                return ask(*arguments, **options)
            finally:
                self._asks = False

        return ask_alone

    def _take_live(self, line: LiveLine) -> bool:
        stage = self._board.current
        if stage is None:
            return False
        stage.log = line.path
        if line.step is not None:
            stage.take(line.step, host=line.host)
        return True

    def _note_warning(self, text: str) -> None:
        paragraph = " ".join(text.partition(": ")[2].strip().partition("\n\n")[0].split())
        if paragraph not in self._warnings and not paragraph.startswith(ADVICE):
            self._warnings.append(paragraph)

    def _beat(self) -> None:
        """Show every second what happens, as long as this process is there."""
        while True:
            time.sleep(1)
            try:
                with self._lock:
                    self._tick()
            except (OSError, ValueError):
                return  # nobody reads it any more

    def _tick(self) -> None:
        stage = self._board.current
        if stage is None or self._screen is None or self._over or self._asks:
            return
        line = self._board.format_now(self._screen.width_now)
        self._screen.tick(line, self._board.format_news(), began=stage.began)

    def _leave(self) -> None:
        """The run was interrupted, unless its end was shown."""
        if os.getpid() != self._process or self._screen is None or self._over:
            return
        with self._lock:
            stage = self._board.current
            self._over = True
        self._say(f"{self._outcome.label or self._run.playbook} was ended{f' in {stage.name}' if stage else ''}.")
        for fault in _find_vars_faults():
            self._say(f"  {fault}", color=constants.COLOR_ERROR)
        self._say(f"To go on, give the same command again: {self._run.command}")


def _find_vars_faults() -> list[str]:
    """What cannot be read of the variables beside the inventory, of which Ansible does not always say where it is."""
    sources = [os.path.abspath(each) for each in context.CLIARGS.get("inventory") or ()]
    tops = dict.fromkeys(each if os.path.isdir(each) else os.path.dirname(each) for each in sources)
    paths = [path for top in tops for name in VARS for path in sorted(Path(top, name).rglob("*.y*ml"))]
    return [f"{path}: {fault}" for path in paths if path.is_file() for fault in find_faults(path.read_bytes())]


def _list_stages(playbook: Any) -> tuple[list[str], dict[tuple[str, str], tuple[str, int]]]:
    """The names of the stages that will run, and each role's by its play: name and number."""
    names: list[str] = []
    numbers = {}
    for play, role in _list_roles(playbook):
        name = name_stage_of_role(role.get_name(), role.tags or [])
        if not names or names[-1] != name:
            names.append(name)
        numbers[play._uuid, role.get_name()] = (name, len(names))
    return names, numbers


def _list_roles(playbook: Any) -> Iterator[tuple[Any, Any]]:
    """The roles of all plays that have hosts, as far as the command asks for them."""
    only, skipped = context.CLIARGS.get("tags") or ("all",), context.CLIARGS.get("skip_tags") or ()
    for play in playbook.get_plays():
        hosts = _find_hosts(play)
        if hosts is not None and not hosts:
            continue
        for role in play.roles:
            if not role.from_include and is_selected([*(play.tags or []), *(role.tags or [])], only, skipped):
                yield play, role


def _find_hosts(play: Any) -> list[Any] | None:
    """The hosts of a play; None where that cannot be said before it runs."""
    try:
        return list(play.get_variable_manager()._inventory.get_hosts(play.hosts))
    except (AnsibleError, AttributeError, TypeError):
        return None


def _find_role(task: Any) -> Any:
    """The role of the play that a task is part of, through whatever other roles."""
    chain = task.get_dep_chain()
    return chain[0] if chain else task._role


def _is_rescued(task: Any) -> bool:
    """Whether a block has tasks for the case that this one fails."""
    inner, outer = task, task._parent
    while outer is not None:
        if getattr(outer, "rescue", None) and any(each._uuid == inner._uuid for each in outer.block):
            return True
        inner, outer = outer, outer._parent
    return False


def _summarise(stats: Any) -> list[tuple[str, dict[str, int]]]:
    return [(host, stats.summarize(host)) for host in stats.processed]


def _introduce(outcome: Outcome, *, check: bool) -> str:
    """What is released, and how long that took the last time."""
    seconds = sum(outcome.expect().values())
    last = outcome.last.get("version")
    known = f"; {last} took {int(seconds // 60)}:{int(seconds % 60):02}" if last and seconds else ""
    return f"{outcome.label}{' (check)' if check else ''}{known}"


def _choose_colour(stage: Stage) -> str:
    if stage.failed:
        return str(constants.COLOR_ERROR)
    return str(constants.COLOR_CHANGED if stage.changed else constants.COLOR_OK)


def _measure_terminal() -> int:
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return choose_width(columns, os.environ)


def prepare_forks() -> None:
    """Load once what each task, which is a process of its own, would load again, and keep it out of their garbage."""
    for loader in (filter_loader, test_loader):
        loader.get("ansible.builtin.version")  # the first one that is asked for brings all
    for kind in ("action", "filter", "lookup"):
        package = importlib.import_module(f"{__name__.rpartition('.callback.')[0]}.{kind}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    importlib.import_module("ansible.plugins.action.normal")
    gc.freeze()

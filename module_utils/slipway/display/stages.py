# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stages of a run as they go by: which one it is, what its steps say, and when it will probably be over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..progress import Step
from .text import clip, count, format_seconds, format_size, measure

#: A rate or an estimate of less than these seconds says nothing.
SOON = 2.0
#: So does one by less than this part of the bytes.
SHARE = 0.02
#: Columns of the time at the end of a line.
TIME = 8
#: A line that is longer is hard to follow to its end.
WIDEST = 110
#: A name that is longer than this may not push away what stands behind it.
LONGEST_NAME = 18


@dataclass
class Stage:
    """One stage, from its first task to the first of the next."""

    name: str
    number: int
    began: float
    ended: float | None = None
    hosts: set[str] = field(default_factory=set)
    #: Tasks that did something; a stage all of whose tasks were left out did not run.
    done: int = 0
    changed: int = 0
    failed: bool = False
    log: str = ""
    #: The seconds that it took in the last release.
    expected: float | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    #: What the last task came to that counted its steps.
    came_to: Step | None = None
    #: When the present task began, and the one whose bytes are counted.
    task_began: float = 0.0
    counted_since: float | None = None
    said: str = ""

    def begin_task(self, name: str, *, now: float) -> None:
        """Note that a task begins, so that what was said of the one before it is over."""
        self.came_to = self.present or self.came_to
        self.steps.clear()
        self.task_began, self.counted_since, self.said = now, None, name

    def take(self, step: Step, *, host: str) -> None:
        """Note what one host says of the task that runs."""
        if step.total_bytes and self.counted_since is None:
            self.counted_since = self.task_began
        self.steps[host] = step
        self.said = f"{host}: {step.text}" if len(self.steps) > 1 else step.text

    @property
    def present(self) -> Step | None:
        """Where the task is that runs, on all hosts together."""
        if not self.steps:
            return None
        steps = self.steps.values()
        return Step(
            sum(step.done for step in steps),
            sum(step.total for step in steps),
            self.said,
            sum(step.done_bytes for step in steps),
            sum(step.total_bytes for step in steps),
        )

    def measure_rate(self, now: float) -> float | None:
        """Bytes a second, if they are known."""
        step = self.present
        if step is None or self.counted_since is None or now - self.counted_since < SOON:
            return None
        if step.done_bytes < SHARE * step.total_bytes:
            return None
        return step.done_bytes / (now - self.counted_since) or None

    def estimate_rest(self, now: float) -> float | None:
        """The seconds that are probably left: by the last release, else by the bytes that are left."""
        elapsed = now - self.began
        if self.expected is not None and self.expected > elapsed:
            return self.expected - elapsed
        step, rate = self.present, self.measure_rate(now)
        if step is None or rate is None or step.done_bytes >= step.total_bytes:
            return None
        return (step.total_bytes - step.done_bytes) / rate


class Board:
    """The stages of one playbook. ``names`` are those that are to come, in their order; a run may leave some out."""

    def __init__(self, names: Sequence[str], *, clock: Callable[[], float], several_hosts: bool = False) -> None:
        self.names = list(names)
        self.several_hosts = several_hosts
        self.stages: list[Stage] = []
        self.expected: Mapping[str, float] = {}
        self._clock = clock

    @property
    def current(self) -> Stage | None:
        """The stage that runs."""
        return self.stages[-1] if self.stages and self.stages[-1].ended is None else None

    def begin(self, name: str, *, number: int = 0) -> Stage:
        """End the stage before and begin this one; without a number it is none of those that are counted."""
        self.end()
        now = self._clock()
        made = Stage(name, number, now, task_began=now, expected=self.expected.get(name))
        self.stages.append(made)
        return made

    def now(self) -> float:
        """The time by the run's own clock."""
        return self._clock()

    def end(self) -> Stage | None:
        """End the stage that runs, if one does, and return it."""
        ended = self.current
        if ended is not None:
            ended.ended = self._clock()
        return ended

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Take how long the stages took the last time, for those that are still to come."""
        self.expected = dict(seconds)

    def format_now(self, width: int) -> str:
        """The line of the stage that runs; it is redrawn, so that it says everything there is room for."""
        stage = self.current
        if stage is None:
            return ""
        now = self._clock()
        rest = stage.estimate_rest(now)
        times = format_seconds(now - stage.began)
        end = f"{times}, {format_seconds(rest)} left" if rest is not None and rest >= 1 else times
        return self._compose(stage, self._list_details(stage, now, running=True), end, width)

    def format_news(self) -> str:
        """What distinguishes this moment from another, without the time."""
        stage = self.current
        if stage is None:
            return ""
        step = stage.present
        return stage.said if step is None else f"{step.done}/{step.total} {step.text}"

    def format_ended(self, stage: Stage, width: int, *, check: bool = False) -> str:
        """The line that stays of a stage."""
        ended = self._clock() if stage.ended is None else stage.ended
        details = ["FAILED"] if stage.failed else []
        if stage.changed:
            details.append(f"would change {stage.changed}" if check else f"{stage.changed} changed")
        elif not stage.failed:
            details.append("unchanged")
        details += self._list_details(stage, ended, running=False)
        return self._compose(stage, details, format_seconds(ended - stage.began), width)

    def _list_details(self, stage: Stage, now: float, *, running: bool) -> list[str]:
        step = stage.present or (None if running else stage.came_to)
        details = []
        if step is not None and step.total:
            part = f"{step.done}/{step.total}"
            details.append(part if running else f"{part} steps" if stage.failed else count(step.done, "step"))
        if step is not None and step.total_bytes:
            done, total = format_size(step.done_bytes), format_size(step.total_bytes)
            details.append(f"{done} of {total}" if running and step.done_bytes < step.total_bytes else done)
            if running and (rate := stage.measure_rate(now)) is not None:
                details.append(f"{format_size(rate)}/s")
        if running:
            return [*details, stage.said] if stage.said else details
        if self.several_hosts and stage.hosts:
            details.append(f"{len(stage.hosts)} hosts" if len(stage.hosts) > 1 else f"on {min(stage.hosts)}")
        return details

    def _compose(self, stage: Stage, details: Sequence[str], end: str, width: int) -> str:
        width = min(width, WIDEST)
        begin = self.format_label(stage)
        room = width - measure(begin) - 1 - max(TIME, measure(end) + 1)
        if room < len("9/9") and measure(end) > TIME:  # the estimate is what there is no room for
            end = end.partition(",")[0]
            room = width - measure(begin) - 1 - TIME
        kept = [details[0]] if details else []
        for detail in details[1:]:
            # What comes last is a sentence, of which a part says something; a number that is cut off says another one.
            if measure(", ".join([*kept, detail])) <= room or (detail == stage.said and room > 24):
                kept.append(detail)
        middle = clip(", ".join(kept), max(0, room))
        gap = max(1, width - measure(begin) - 1 - measure(middle) - measure(end))
        return clip(begin, width) if room < 0 else f"{begin} {middle}{' ' * gap}{end}"

    def format_label(self, stage: Stage) -> str:
        """Number and name, in columns of the same width for all stages."""
        total = len(self.names)
        digits = len(str(total))
        place = f"{stage.number:{digits}}/{total}" if stage.number else " " * (2 * digits + 1)
        names = [clip(name, LONGEST_NAME) for name in self.names] or [clip(stage.name, LONGEST_NAME)]
        longest = max(measure(name) for name in names)
        name = clip(stage.name, LONGEST_NAME) if stage.number else stage.name
        return f"{place}  {name}{' ' * (longest - measure(name))}"


def is_selected(tags: Sequence[str], only: Sequence[str], skipped: Sequence[str]) -> bool:
    """Whether what has these tags runs with the ``--tags`` and ``--skip-tags`` of a command."""
    named = set(tags) or {"untagged"}
    wanted = "always" in named or "all" in only or not named.isdisjoint(only)
    wanted = wanted or ("tagged" in only and "untagged" not in named)
    return wanted and named.isdisjoint(skipped) and "all" not in skipped


def name_stage_of_role(role: str, tags: Sequence[str]) -> str:
    """The word for a role of a pipeline: ``slipway.release.release_build`` is ``build``."""
    short = role.rpartition(".")[2]
    if short in ("release", "debs"):
        return "plan"  # what all stages after it read
    name = short.removeprefix("release_").removeprefix("debs_")
    # Roles that do a part of a stage are called after it, and have its tag.
    return next((tag for tag in tags if name.startswith(f"{tag}_") and short != name), name).replace("_", " ")

"""Which build is started where."""

from __future__ import annotations

import random

from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import (
    LONGEST_REST,
    REST,
    TRIES,
    Host,
    Schedule,
    Unit,
)

BOTH = {"amd64": "amd64", "i386": "i386"}


def unit(name: str, architecture: str = "amd64") -> Unit:
    return Unit("bookworm", architecture, name, "1")


def make(*hosts: Host) -> Schedule:
    schedule = Schedule()
    schedule.set_hosts(hosts)
    return schedule


def placed(schedule: Schedule, *ready: Unit, now: float = 0.0) -> dict[str, str]:
    return {start.unit.source: start.host.name for start in schedule.choose(ready, now)}


def test_builds_are_spread_evenly_and_no_host_gets_more_than_its_slots():
    schedule = make(Host("a", BOTH, slots=2), Host("b", BOTH, slots=1))
    assert placed(schedule, *map(unit, "uvwxyz")) == {"u": "a", "v": "b", "w": "a"}
    assert placed(schedule, *map(unit, "uvwxyz")) == {}
    schedule.finish(unit("v"))
    assert placed(schedule, *map(unit, "uwxyz")) == {"x": "b"}


def test_a_host_gets_only_what_it_builds_for():
    schedule = make(Host("a", {"amd64": "amd64"}, slots=9), Host("b", {"armhf": "amd64"}, slots=9))
    assert placed(schedule, unit("u"), unit("v", "armhf"), unit("w", "i386")) == {"u": "a", "v": "b"}
    assert schedule.list_homeless([unit("u"), unit("w", "i386")]) == [unit("w", "i386")]


def test_a_drained_host_ends_what_it_has_and_one_that_is_added_gets_work_at_once():
    schedule = make(Host("a", BOTH))
    assert placed(schedule, unit("u"), unit("v")) == {"u": "a"}
    schedule.set_hosts([Host("a", BOTH, drained=True), Host("b", BOTH)])
    assert placed(schedule, unit("v"), unit("w")) == {"v": "b"}
    schedule.finish(unit("u"))
    assert placed(schedule, unit("w")) == {}
    assert schedule.list_homeless([unit("w")]) == []


def test_what_a_lost_host_gives_back_goes_to_another_one_and_the_host_rests_longer_each_time():
    schedule = make(Host("a", BOTH), Host("b", BOTH, slots=2))
    assert placed(schedule, unit("u")) == {"u": "a"}
    schedule.give_back(unit("u"), "the line was cut", 100.0, lost=True)
    assert placed(schedule, unit("u"), unit("v"), now=100.0) == {"u": "b", "v": "b"}
    assert placed(schedule, unit("w"), now=100.0 + REST - 1) == {}
    assert schedule.find_wait([unit("w")], 100.0 + REST - 1) == 1.0
    assert placed(schedule, unit("w"), now=100.0 + REST) == {"w": "a"}
    schedule.give_back(unit("w"), "the line was cut", 200.0, lost=True)
    assert schedule.find_wait([unit("w")], 200.0) == 2 * REST
    for attempt in range(12):
        schedule.running[unit(f"x{attempt}")] = "a"
        schedule.give_back(unit(f"x{attempt}"), "the line was cut", 1e6 * (attempt + 1), lost=True)
    assert schedule.find_wait([unit("y")], 12e6) == LONGEST_REST


def test_one_that_comes_back_each_time_has_failed_and_the_reason_names_the_hosts():
    schedule = make(Host("a", BOTH), Host("b", BOTH))
    for attempt in range(TRIES):
        assert not schedule.has_failed(unit("u"))
        (start,) = schedule.choose([unit("u")], 1e6 * attempt)
        assert start.host.name == "ab"[attempt % 2] or attempt > 1
        schedule.give_back(unit("u"), "it went down", 1e6 * attempt, lost=True)
    assert schedule.has_failed(unit("u"))
    assert schedule.explain(unit("u")) == "3 attempts on a, b came to nothing, the last because it went down"
    assert placed(schedule, unit("u"), now=1e9) == {}


def test_a_result_makes_a_host_good_again():
    schedule = make(Host("a", BOTH, slots=2))
    schedule.choose([unit("u"), unit("v")], 0.0)
    schedule.give_back(unit("u"), "the line was cut", 0.0, lost=True)
    schedule.finish(unit("v"))
    assert placed(schedule, unit("u"), now=0.0) == {"u": "a"}


def test_whatever_happens_nothing_runs_twice_nothing_is_lost_and_no_host_is_overloaded():
    for seed in range(60):
        draw = random.Random(seed)  # noqa: S311  # no secret
        hosts = [Host(f"h{number}", BOTH, slots=draw.randint(1, 3)) for number in range(draw.randint(1, 4))]
        schedule, todo, now = make(*hosts), [unit(f"p{number}") for number in range(30)], 0.0
        done: set[Unit] = set()
        for _step in range(5000):
            left = [each for each in todo if each not in done]
            if not left:
                break
            now += draw.choice([0.0, 1.0, 20.0])
            for start in schedule.choose(left, now):
                assert start.unit not in done
            for host in hosts:
                assert list(schedule.running.values()).count(host.name) <= host.slots
            if schedule.running:
                one = draw.choice(sorted(schedule.running))
                if draw.random() < 0.7:
                    schedule.finish(one)
                    done.add(one)
                else:
                    schedule.give_back(one, "no reason", now, lost=draw.random() < 0.5)
                    if schedule.has_failed(one):
                        done.add(one)
        assert done == set(todo)


def test_a_host_without_room_is_asked_again_and_it_counts_against_nobody():
    schedule = make(Host("a", BOTH))
    for attempt in range(TRIES + 1):
        assert placed(schedule, unit("u"), now=attempt * REST) == {"u": "a"}
        schedule.put_off(unit("u"), attempt * REST)
        assert placed(schedule, unit("u"), now=attempt * REST + REST / 2) == {}
        assert schedule.find_wait([unit("u")], attempt * REST) == REST
    assert not schedule.has_failed(unit("u"))

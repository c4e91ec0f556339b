# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Graphs of numbers: components, waves, cycles, and what is reached, as bits of integers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

Successors = Mapping[int, Sequence[int]]


def find_components(successors: Successors) -> list[list[int]]:
    """The strongly connected components, each after those that its members lead to.

    A list of numbers without an entry of their own leads nowhere. (Tarjan's algorithm, without recursion.)
    """
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for root in successors:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(successors.get(root, ())))]
        while work:
            node, rest = work[-1]
            lowest = low[node]
            for other in rest:
                if other not in number:
                    number[other] = low[other] = len(number)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(successors.get(other, ()))))
                    break
                if other in on_stack and number[other] < lowest:
                    lowest = low[node] = number[other]
            else:
                work.pop()
                if work and lowest < low[work[-1][0]]:
                    low[work[-1][0]] = lowest
                if lowest == number[node]:
                    found.append(_pop_component(stack, on_stack, node))
    return found


def _pop_component(stack: list[int], on_stack: set[int], node: int) -> list[int]:
    component = []
    while True:
        member = stack.pop()
        on_stack.discard(member)
        component.append(member)
        if member == node:
            return sorted(component)


def close_reachable(successors: Successors) -> dict[int, int]:
    """For every number the set of those that it leads to, directly or not, as the bits of an integer.

    A number is among its own only if it is on a cycle.
    """
    reached: dict[int, int] = {}
    for component in find_components(successors):
        bits = 0
        inside = 0
        for member in component:
            for other in successors.get(member, ()):
                bits |= reached.get(other, 0) | 1 << other
        if len(component) > 1:
            for member in component:
                inside |= 1 << member
        for member in component:
            reached[member] = bits | inside
    return reached


def list_bits(bits: int) -> Iterator[int]:
    """The numbers in such a set, ascending."""
    text = bin(bits)[:1:-1]
    position = text.find("1")
    while position >= 0:
        yield position
        position = text.find("1", position + 1)


def find_cycle(members: Iterable[int], successors: Successors) -> list[int]:
    """A shortest cycle through the smallest of ``members`` that is on one, in order; empty if there is none."""
    inside = set(members)
    for start in sorted(inside):
        before: dict[int, int] = {}
        ahead = deque([start])
        while ahead:
            node = ahead.popleft()
            for other in successors.get(node, ()):
                if other == start:
                    return _trace(before, start, node)
                if other in inside and other not in before:
                    before[other] = node
                    ahead.append(other)
    return []


def _trace(before: Mapping[int, int], start: int, last: int) -> list[int]:
    path = [last]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]

"""Where the boxes of a diagram go: rows by depth, each row ordered so that few lines cross."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnkit.utils.diagram import Diagram

__all__ = ["Place", "arrange"]

_SWEEPS = 8  # passes over the rows; more change nothing for models people draw


class Place(NamedTuple):
    """The middle of a box, in the unit its size was given in: across the rows, and along."""

    across: float
    along: float


def arrange(
    diagram: Diagram, sizes: Mapping[int, tuple[float, float]], gaps: tuple[float, float]
) -> tuple[dict[int, Place], dict[tuple[int, int], list[Place]]]:
    """The places of the boxes, and for each line the points it goes through between its ends.

    Args:
        diagram: what to place.
        sizes: of each box: in its row (across), and from row to row (along).
        gaps: between neighbours in a row, and between rows.

    A line that passes rows gets a place of its own in each of them, so that it runs around boxes.
    """
    depth = _depths(diagram)
    size = dict(sizes)
    rows: list[list[int]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for key in diagram.boxes:
        rows[depth[key]].append(key)
    # Negative keys are the bends of lines.
    bends: dict[tuple[int, int], list[int]] = {}
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    fresh = -1
    for start, end in diagram.lines:
        chain = [start]
        for number in range(depth[start] + 1, depth[end]):
            rows[number].append(fresh)
            size[fresh] = (gaps[0] / 2, 0.0)
            chain.append(fresh)
            fresh -= 1
        bends[start, end] = chain[1:]
        for one, other in zip(chain, [*chain[1:], end], strict=True):
            below.setdefault(one, []).append(other)
            above.setdefault(other, []).append(one)
    across = _across(rows, above, below, size, gaps[0])
    for group, members in diagram.groups().items():
        if len(group) == 1:
            _make_room(set(members), rows, across, size, gaps[0])
    places: dict[int, Place] = {}
    through: dict[int, list[Place]] = {}
    edge = 0.0
    for row in rows:
        thickness = max((size[key][1] for key in row), default=0.0)
        for key in row:
            places[key] = Place(across[key], edge + thickness / 2)
            # A line passes straight between the boxes of a row.
            through[key] = [Place(across[key], edge), Place(across[key], edge + thickness)]
        edge += thickness + gaps[1]
    lines = {
        line: [place for bend in chain for place in through[bend]] for line, chain in bends.items()
    }
    return {key: places[key] for key in diagram.boxes}, lines


def _depths(diagram: Diagram) -> dict[int, int]:
    """The longest way to each box from one that nothing leads to."""
    depth = dict.fromkeys(diagram.boxes, 0)
    before: dict[int, list[int]] = {}
    for start, end in diagram.lines:
        before.setdefault(end, []).append(start)
    # A line can only go on from where another ended, so this many rounds are enough.
    for _ in diagram.boxes:
        changed = False
        for end, starts in before.items():
            new = max(depth[start] for start in starts) + 1
            if new != depth[end] and new <= len(depth):
                depth[end], changed = new, True
        if not changed:
            break
    # An input stands just above where it is used.
    for key in diagram.boxes:
        after = [depth[end] for start, end in diagram.lines if start == key]
        if key not in before and after:
            depth[key] = min(after) - 1
    return depth


def _across(
    rows: list[list[int]],
    above: Mapping[int, list[int]],
    below: Mapping[int, list[int]],
    size: Mapping[int, tuple[float, float]],
    gap: float,
) -> dict[int, float]:
    """Each box as near as it can be to the middle of those it is joined with."""
    across: dict[int, float] = {}
    for row in rows:
        _spread(row, {key: float(i) for i, key in enumerate(row)}, across, size, gap)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        joined = above if down else below
        for row in rows if down else rows[::-1]:
            wanted = {}
            for key in row:
                near = [across[other] for other in joined.get(key, ())]
                wanted[key] = sum(near) / len(near) if near else across[key]
            row.sort(key=lambda key, wanted=wanted: wanted[key])  # type: ignore[misc]
            _spread(row, wanted, across, size, gap)
    return across


def _spread(
    row: list[int],
    wanted: Mapping[int, float],
    across: dict[int, float],
    size: Mapping[int, tuple[float, float]],
    gap: float,
) -> None:
    """Put a row side by side, then move it as a whole to where its boxes want to be."""
    edge = -1e9
    for key in row:
        half = size[key][0] / 2
        across[key] = max(wanted[key], edge + gap + half)
        edge = across[key] + half
    if row:
        shift = sum(wanted[key] - across[key] for key in row) / len(row)
        for key in row:
            across[key] += shift


def _make_room(
    members: set[int],
    rows: list[list[int]],
    across: dict[int, float],
    size: Mapping[int, tuple[float, float]],
    gap: float,
) -> None:
    """Move what stands beside a group out of the frame around it."""
    left = min(across[key] - size[key][0] / 2 for key in members) - gap
    right = max(across[key] + size[key][0] / 2 for key in members) + gap
    inside = [number for number, row in enumerate(rows) if members & set(row)]
    for row in rows[min(inside) : max(inside) + 1]:
        others = sorted((key for key in row if key not in members), key=across.__getitem__)
        middle = (left + right) / 2
        edge = right
        for key in (key for key in others if across[key] >= middle):
            across[key] = max(across[key], edge + size[key][0] / 2)
            edge = across[key] + size[key][0] / 2 + gap
        edge = left
        for key in (key for key in others[::-1] if across[key] < middle):
            across[key] = min(across[key], edge - size[key][0] / 2)
            edge = across[key] - size[key][0] / 2 - gap

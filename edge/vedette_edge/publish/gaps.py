"""Records of what was dropped: exact counts, in a message of their own that is never dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from vedette_edge.publish.worth import Worth
from vedette_edge.topics import Gap

__all__ = ["gaps_of", "merged"]

_Number = TypeVar("_Number", int, float)


def gaps_of(dropped: Iterable[Worth], now: float) -> dict[str, Gap]:
    """Return one record for each run of the agent, by its boot.

    Args:
        dropped: what went.
        now: Unix time, seconds.
    """
    gaps: dict[str, Gap] = {}
    for worth in dropped:
        one = _of_one(worth, now)
        gaps[worth.boot] = merged(gaps[worth.boot], one) if worth.boot in gaps else one
    return gaps


def merged(first: Gap, second: Gap) -> Gap:
    """Return the record of both; they are of the same boot."""
    return Gap(
        boot=first.boot,
        ts=max(first.ts, second.ts),
        new=first.new + second.new,
        update=first.update + second.update,
        end=first.end + second.end,
        picture=first.picture + second.picture,
        other=first.other + second.other,
        from_seq=_least(first.from_seq, second.from_seq),
        to_seq=_most(first.to_seq, second.to_seq),
        from_time=_least(first.from_time, second.from_time),
        to_time=_most(first.to_time, second.to_time),
    )


def _of_one(worth: Worth, now: float) -> Gap:
    seq, time = worth.seq or None, worth.time or None
    return Gap(
        boot=worth.boot,
        ts=now,
        from_seq=seq,
        to_seq=seq,
        from_time=time,
        to_time=time,
        **{worth.kind: 1},
    )


def _least(first: _Number | None, second: _Number | None) -> _Number | None:
    return min((value for value in (first, second) if value is not None), default=None)


def _most(first: _Number | None, second: _Number | None) -> _Number | None:
    return max((value for value in (first, second) if value is not None), default=None)

"""What a history must not show. Each problem is a line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .history import PROPERTIES, History, Mark, Place, Read, Version


def problems(history: History) -> list[str]:
    """What is wrong with it; nothing, if all is well."""
    fates: dict[str, list[Fate]] = defaultdict(list)
    found = [line for key in history.versions for line in _versions(history, key, fates)]
    found += (line for mark in history.marks.values() for line in _mark(history, mark, fates))
    found += (line for read in history.reads for line in _read(history, read))
    found += _words(history)
    return found


@dataclass(frozen=True, slots=True)
class Fate:
    """A mark came or went."""

    came: bool
    by: str


def _versions(history: History, key: str, fates: dict[str, list[Fate]]) -> Iterator[str]:
    """From one version to the next, only the writer's own marks come, and none goes but by a
    deletion, or when the writer takes its own back."""
    before = Version(-1, "nobody", None)
    for version in history.versions[key]:
        for name in PROPERTIES:
            old, new = before.marks(name), version.marks(name)
            if len(set(new)) < len(new):
                yield f"{key} {name}: {version.writer} stored a mark twice: {new}"
            for mark in sorted(set(new) - set(old)):
                fates[mark].append(Fate(True, version.writer))
                yield from _came(history, history.marks[mark], (key, name), version)
            for mark in sorted(set(old) - set(new)):
                fates[mark].append(Fate(False, version.writer))
                yield from _went(history, history.marks[mark], version)
        before = version


def _came(history: History, mark: Mark, place: Place, version: Version) -> Iterator[str]:
    if mark.place != place:
        yield f"{place}: {version.writer} stored {mark.name}, which belongs elsewhere"
    if _puts_back(history, place[0], version):
        return
    if mark.turn != version.writer:
        yield f"{place}: {version.writer} brought {mark.name} back"
    if version.at > mark.done_at:
        yield f"{place}: {mark.name} came after it had been acknowledged"


def _went(history: History, mark: Mark, version: Version) -> Iterator[str]:
    deletion = history.deletions.get((version.writer, mark.place[0]))
    deleted = deletion == "staged" or (deletion is not None and version.content is None)
    if mark.turn != version.writer and not deleted:
        yield f"{mark.place}: lost update: {version.writer} removed {mark.name}"


def _puts_back(history: History, key: str, version: Version) -> bool:
    """A replayed turn that deleted the document, and takes that back."""
    versions = history.versions[key]
    index = versions.index(version)
    return (
        index >= 2
        and versions[index - 1].writer == version.writer
        and versions[index - 2].content == version.content
    )


def _mark(history: History, mark: Mark, fates: dict[str, list[Fate]]) -> Iterator[str]:
    """What was acknowledged came and stayed; what failed did not; nothing came twice."""
    fate = fates[mark.name]
    stays = bool(fate) and fate[-1].came
    gone_by_deletion = (
        bool(fate) and not fate[-1].came and (fate[-1].by, mark.place[0]) in history.deletions
    )
    if mark.outcome == "running":
        yield f"{mark.name} has no outcome"
    if mark.outcome == "done" and not (stays or gone_by_deletion):
        yield f"lost update: {mark.name} of {mark.place} was acknowledged and is not there"
    if mark.outcome == "failed" and stays:
        yield f"{mark.name} of {mark.place} failed, and is there"


def _read(history: History, read: Read) -> Iterator[str]:
    """What a turn reads is what was stored at one moment since it began, with its own marks."""
    key, name = read.place

    def of_others(marks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(mark for mark in marks if history.marks[mark].turn != read.turn)

    seen = of_others(read.marks)
    if len(set(read.marks)) < len(read.marks):
        yield f"{read.turn} read a mark twice in {read.place}: {read.marks}"
    if not seen and (read.turn, key) in history.deletions:
        return
    versions = [Version(-1, "nobody", None), *history.versions.get(key, ())]
    ends = [version.at for version in versions[1:]] + [read.at + 1]
    for version, end in zip(versions, ends, strict=True):
        if version.at <= read.at and end > read.since and of_others(version.marks(name)) == seen:
            return
    yield f"{read.turn} read in {read.place} what was never stored: {read.marks}"


def _words(history: History) -> Iterator[str]:
    """Held replies: all of the attempt that was saved, in order, once; nothing otherwise."""
    for turn, (outcome, words) in history.meant_to_say.items():
        meant = words if outcome == "done" else []
        if history.said.get(turn, []) != meant:
            yield f"{turn}, {outcome}, said {history.said.get(turn, [])} and not {meant}"

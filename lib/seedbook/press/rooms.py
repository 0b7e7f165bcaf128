"""Rooms: a class bets on the claims of a chapter, and sees the verdicts at the same moment.

Rooms live in the memory of the reader's server and are gone with it. Whoever opens a room gets its
code, for the class, and its key, which alone can reveal it. Until then a room tells only how many
have bet; afterwards it tells all bets and the verdicts, and takes no more.

>>> rooms = Rooms()
>>> room = rooms.open("dice", "run 1", {"c1": "supported"})
>>> room.bet("a" * 32, "Ada", {"c1": 70}, anew=False)
>>> rooms.tell(room)["bets"], "verdicts" in rooms.tell(room)
(1, False)
>>> room.reveal(room.key)
>>> rooms.tell(room)["members"]
[{'name': 'Ada', 'anew': False, 'bets': {'c1': 70}}]
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # without vowels they spell nothing
CODE, KEY = 4, 32  # letters, hexadecimal digits
MAX_ROOMS, MAX_MEMBERS, MAX_NAME, MAX_BODY = 50, 200, 40, 16 * 1024
LIFE_S = 4 * 3600
BETS = "bets.json"


class RoomError(Exception):
    """What a room does not do: a status and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass
class Member:
    """The bets of one browser, in per cent by claim."""

    name: str
    bets: dict[str, int]
    anew: bool


@dataclass
class Room:
    """One class on one chapter."""

    code: str
    key: str
    chapter: str
    run: str
    verdicts: dict[str, str]
    ends: float
    revealed: bool = False
    members: dict[str, Member] = field(default_factory=dict)

    def bet(self, member: str, name: str, bets: dict[str, Any], anew: bool) -> None:
        """Take the bets of a member, who may change them until the reveal.

        Parameters
        ----------
        member : str
            32 hexadecimal digits by which the member's browser is known again.
        name : str
            For the ranking; may be empty.
        bets : dict
            A whole number of per cent for each claim of the room.
        anew : bool
            Whether the member has seen these verdicts before.
        """
        if self.revealed:
            raise RoomError(409, f"room {self.code} has been revealed; it takes no more bets")
        if not _is_key(member):
            raise RoomError(422, f"member must be {KEY} hexadecimal digits")
        name = " ".join(name.split())
        if len(name) > MAX_NAME or not name.isprintable():
            raise RoomError(422, f"name must be at most {MAX_NAME} printable characters, or empty")
        if missing := [c for c in self.verdicts if c not in bets]:
            raise RoomError(422, f"a bet on {missing[0]} is missing; bet on every claim")
        if unknown := sorted(set(bets) - set(self.verdicts)):
            raise RoomError(422, f"there is no claim {unknown[0][:20]!r} to bet on")
        for claim, value in bets.items():
            if type(value) is not int or not 0 <= value <= 100:
                raise RoomError(422, f"the bet on {claim} must be a whole number from 0 to 100")
        others = {m.name.casefold() for k, m in self.members.items() if k != member}
        if name and name.casefold() in others:
            raise RoomError(409, "somebody in this room has that name; take another one, or none")
        if member not in self.members and len(self.members) >= MAX_MEMBERS:
            raise RoomError(429, f"room {self.code} is full: {MAX_MEMBERS} have bet")
        self.members[member] = Member(name, {c: bets[c] for c in self.verdicts}, anew)

    def reveal(self, key: str) -> None:
        """Show the bets and verdicts to everybody; only who holds the room's key can."""
        if not _is_key(key) or not secrets.compare_digest(key, self.key):
            raise RoomError(403, f"only the browser that opened room {self.code} can reveal it")
        if not self.members:
            raise RoomError(409, "nobody has bet yet; there is nothing to reveal")
        self.revealed = True


class Rooms:
    """The open rooms of a server, by code.

    Parameters
    ----------
    clock : callable
        Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self._rooms: dict[str, Room] = {}

    def open(self, chapter: str, run: str, verdicts: dict[str, str]) -> Room:
        """A new room on a chapter's claims, with the verdicts that it will reveal."""
        self._sweep()
        if len(self._rooms) >= MAX_ROOMS:
            first = min(room.ends for room in self._rooms.values()) - self.clock()
            raise RoomError(
                429,
                f"{MAX_ROOMS} rooms are open already; the oldest ends in {first / 60:.0f} minutes",
            )
        while (code := "".join(secrets.choice(LETTERS) for _ in range(CODE))) in self._rooms:
            pass
        key, ends = secrets.token_hex(KEY // 2), self.clock() + LIFE_S
        self._rooms[code] = Room(code, key, chapter, run, verdicts, ends)
        return self._rooms[code]

    def find(self, code: str) -> Room:
        """The room of a code, in capitals or not."""
        self._sweep()
        if room := self._rooms.get(code.upper()):
            return room
        hours = LIFE_S // 3600
        raise RoomError(404, f"there is no room {code.upper()}; rooms end after {hours} hours")

    def tell(self, room: Room) -> dict[str, Any]:
        """What everybody in the room may know."""
        told: dict[str, Any] = {
            "code": room.code,
            "chapter": room.chapter,
            "run": room.run,
            "claims": list(room.verdicts),
            "bets": len(room.members),
            "revealed": room.revealed,
            "ends_s": round(room.ends - self.clock()),
        }
        if room.revealed:  # by name, so that the order does not tell who was first
            members = sorted(room.members.values(), key=lambda m: (m.name, *m.bets.values()))
            told["members"] = [
                {"name": m.name, "anew": m.anew, "bets": dict(m.bets)} for m in members
            ]
            told["verdicts"] = room.verdicts
        return told

    def _sweep(self) -> None:
        now = self.clock()
        self._rooms = {c: r for c, r in self._rooms.items() if r.ends > now}


def verdicts(site: Path, slug: str) -> tuple[str, dict[str, str]]:
    """Run and verdicts, out of scope left out, that the built page of bets has of a chapter."""
    try:
        table = json.loads((site / "_static" / BETS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RoomError(409, "this site has no table of bets; run `seedbook book`") from None
    for chapter in table["chapters"]:
        if chapter["slug"] == slug:
            found = {c["id"]: c["verdict"] for c in chapter["claims"]}
            found = {k: v for k, v in found.items() if v != "out of scope"}
            if not found:
                raise RoomError(409, f"no claim of {slug} can be bet on: all are out of scope")
            return chapter["run"], found
    raise RoomError(404, f"there is no chapter {slug[:60]!r} to bet on")


def _is_key(text: str) -> bool:
    return len(text) == KEY and set(text) <= set("0123456789abcdef")

"""When a person may come in: days, hours, and from which date until which.

A schedule is written as people say it: `mon-fri 08:00-18:00 sat 10:00-14:00 until 2026-12-31`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
DAY_MINUTES = 24 * 60


class ScheduleError(ValueError):
    """The text is no schedule; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of day on some days of the week."""

    days: frozenset[int]
    """0 is Monday, 6 Sunday."""
    start: int
    """Minutes from midnight, 0 to 1439."""
    end: int
    """Minutes from midnight, 1 to 1440; below `start`: on the next day."""

    def __str__(self) -> str:
        return f"{_days_text(self.days)} {_time_text(self.start)}-{_time_text(self.end)}"

    def contain(self, weekday: int, minute: float) -> bool:
        """Whether a minute of a day of the week lies in them; the end does not."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        before = (weekday - 1) % 7 in self.days and minute < self.end
        return before or (weekday in self.days and minute >= self.start)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a person may come in, by the clock of the place. Without hours: at any time."""

    hours: tuple[Hours, ...] = ()
    valid_from: date | None = None
    """First day."""
    valid_until: date | None = None
    """Last day."""

    def __str__(self) -> str:
        parts = [str(each) for each in self.hours]
        parts += [f"from {self.valid_from}"] if self.valid_from else []
        parts += [f"until {self.valid_until}"] if self.valid_until else []
        return " ".join(parts) or "always"

    def allows(self, moment: datetime) -> str | None:
        """Why the person may not come in, in words for people; None: they may.

        Args:
            moment: as the clock on the wall shows it.
        """
        if self.valid_from and moment.date() < self.valid_from:
            return f"not before {self.valid_from}"
        if self.valid_until and moment.date() > self.valid_until:
            return f"not after {self.valid_until}"
        minute = 60 * moment.hour + moment.minute
        if self.hours and not any(each.contain(moment.weekday(), minute) for each in self.hours):
            return "only " + ", ".join(str(each) for each in self.hours)
        return None


ALWAYS = Schedule()


def parse_schedule(text: str) -> Schedule:
    """Read a schedule: days, then hours, as often as needed; `from DATE`, `until DATE`; `always`.

    Raises:
        ScheduleError: it is none.

    >>> str(parse_schedule("Mon-Fri 8:00-18:00, 22:00-06:00 from 2026-01-31"))
    'mon-fri 08:00-18:00 mon-fri 22:00-06:00 from 2026-01-31'
    """
    # Days may be listed with spaces: `mon, tue 8:00-18:00` does not mean Monday around the clock.
    listed = re.sub(rf"(?<=[a-z]),\s+(?=(?:{'|'.join(DAYS)}))", ",", text.lower())
    words = re.sub(r"[;]|,(?=\s)", " ", listed).split()
    if words in ([], ["always"]):
        return ALWAYS
    hours: list[Hours] = []
    dates: dict[str, date] = {}
    days, complete = EVERY_DAY, True
    following = iter(words)
    for word in following:
        if word in ("from", "until"):
            if word in dates:
                raise ScheduleError(f"{word} is given twice")
            dates[word] = _date(word, next(following, ""))
        elif "0" <= word[0] <= "9":
            hours.append(Hours(days, *_hours(word)))
            complete = True
        else:
            if not complete:
                hours.append(Hours(days, 0, DAY_MINUTES))
            days, complete = _days(word), False
    if not complete:
        hours.append(Hours(days, 0, DAY_MINUTES))
    first, last = dates.get("from"), dates.get("until")
    if first and last and first > last:
        raise ScheduleError(f"from {first} is after until {last}")
    return Schedule(tuple(hours), first, last)


def _days(word: str) -> frozenset[int]:
    if word == "daily":
        return EVERY_DAY
    found: set[int] = set()
    for part in word.split(","):
        first, dash, last = part.partition("-")
        start, end = _day(first), _day(last if dash else first)
        found |= {day % 7 for day in range(start, end + (8 if end < start else 1))}
    return frozenset(found)


def _day(word: str) -> int:
    # Mondays and Tuesday's are understood as well as mon and tue.
    if len(word) < 3 or word[:3] not in DAYS:
        raise ScheduleError(
            f"{word or 'nothing'!r} is no day; write mon-fri 08:00-18:00, sat 10:00-14:00, "
            "from 2026-01-31, until 2026-12-31, or always"
        )
    return DAYS.index(word[:3])


def _hours(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)", word)
    if found is None:
        raise ScheduleError(f"{word!r} is no time of day; write 08:00-18:00")
    a, b, c, d = map(int, found.groups())
    start, end = 60 * a + b, 60 * c + d
    if max(b, d) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise ScheduleError(f"{word!r}: a day goes from 00:00 to 24:00")
    if start == end:
        raise ScheduleError(f"{word!r} is no time at all; the whole day is 00:00-24:00")
    return start, end or DAY_MINUTES


def _date(keyword: str, word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise ScheduleError(f"{keyword} needs a date such as 2026-01-31, not {word!r}") from None


def _days_text(days: frozenset[int]) -> str:
    if days == EVERY_DAY:
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    texts = [
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run)
        for run in runs
    ]
    return ",".join(texts)


def _time_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"

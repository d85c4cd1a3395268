"""Schedules: what people write, and what it allows at any moment."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.people.schedule import (
    ALWAYS,
    DAY_MINUTES,
    DAYS,
    Hours,
    Schedule,
    ScheduleError,
    parse_schedule,
)

MONDAY = datetime(2026, 11, 23)

hours = st.builds(
    lambda days, start, end: Hours(frozenset(days), start, end),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, DAY_MINUTES - 1),
    st.integers(1, DAY_MINUTES),
).filter(lambda each: each.start != each.end)
dates = st.none() | st.dates(date(2020, 1, 1), date(2040, 1, 1))
schedules = st.builds(Schedule, st.lists(hours, max_size=3).map(tuple), dates, dates).filter(
    lambda each: not (each.valid_from and each.valid_until and each.valid_from > each.valid_until)
)
moments = st.datetimes(datetime(2019, 1, 1), datetime(2041, 1, 1))


@given(schedules)
def test_a_schedule_reads_back_from_its_text(schedule: Schedule) -> None:
    assert parse_schedule(str(schedule)) == schedule


def slow_allows(schedule: Schedule, moment: datetime) -> bool:
    """By walking through the intervals of the days around the moment."""
    if schedule.valid_from and moment.date() < schedule.valid_from:
        return False
    if schedule.valid_until and moment.date() > schedule.valid_until:
        return False
    if not schedule.hours:
        return True
    midnight = datetime(moment.year, moment.month, moment.day)
    for each in schedule.hours:
        for day in (midnight - timedelta(days=1), midnight):
            if day.weekday() not in each.days:
                continue
            start = day + timedelta(minutes=each.start)
            end = day + timedelta(minutes=each.end)
            if each.end < each.start:
                end += timedelta(days=1)
            if start <= moment < end:
                return True
    return False


@given(schedules, moments)
def test_a_moment_is_allowed_when_an_interval_holds_it(
    schedule: Schedule, moment: datetime
) -> None:
    assert (schedule.allows(moment) is None) == slow_allows(schedule, moment)


@given(moments)
def test_always_is_always(moment: datetime) -> None:
    assert ALWAYS.allows(moment) is None


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("", "always"),
        ("always", "always"),
        ("mon-fri 08:00-18:00", "mon-fri 08:00-18:00"),
        ("Monday-Friday 8:00-18:00", "mon-fri 08:00-18:00"),
        ("mon,wed", "mon,wed 00:00-24:00"),
        ("Mon, Tue 08:00-18:00", "mon,tue 08:00-18:00"),
        ("sat,  sun 10:00-14:00, 15:00-16:00", "sat,sun 10:00-14:00 sat,sun 15:00-16:00"),
        ("mon 08:00-09:00, tue 10:00-11:00", "mon 08:00-09:00 tue 10:00-11:00"),
        ("sat-mon 22:00-06:00", "mon,sat,sun 22:00-06:00"),
        ("08:00-12:00 13:00-00:00", "daily 08:00-12:00 daily 13:00-24:00"),
        (
            "mon 08:00-09:00; tue; from 2026-01-01",
            "mon 08:00-09:00 tue 00:00-24:00 from 2026-01-01",
        ),
        ("until 2026-12-31", "until 2026-12-31"),
    ],
)
def test_what_people_write(text: str, clear: str) -> None:
    assert str(parse_schedule(text)) == clear


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mo 08:00-18:00", "'mo' is no day"),
        ("mon- 08:00-18:00", "'nothing' is no day"),
        ("8-18", "'8-18' is no time of day"),
        ("08:00-25:00", "from 00:00 to 24:00"),
        ("08:60-09:00", "from 00:00 to 24:00"),
        ("08:00-08:00", "no time at all"),
        ("from tomorrow", "from needs a date"),
        ("until", "until needs a date"),
        ("from 2026-01-01 from 2026-01-02", "given twice"),
        ("from 2027-01-01 until 2026-01-01", "after until"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        parse_schedule(text)


def test_night_shifts_end_on_the_next_morning() -> None:
    nights = parse_schedule("fri 22:00-06:00")
    friday = MONDAY + timedelta(days=4)
    assert DAYS[friday.weekday()] == "fri"
    allowed = [hour for hour in range(48) if nights.allows(friday + timedelta(hours=hour)) is None]
    assert allowed == [22, 23, 24, 25, 26, 27, 28, 29]


def test_the_reason_says_when() -> None:
    schedule = parse_schedule("mon-fri 08:00-18:00 from 2026-01-01 until 2026-12-31")
    assert schedule.allows(MONDAY + timedelta(hours=7)) == "only mon-fri 08:00-18:00"
    assert schedule.allows(datetime(2025, 12, 31, 9)) == "not before 2026-01-01"
    assert schedule.allows(datetime(2027, 1, 1, 9)) == "not after 2026-12-31"

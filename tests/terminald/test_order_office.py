"""The hours in which headquarters may interrupt a till."""

import pytest

from terminald.order_office import is_within


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        (("21:00", "06:00"), "21:00", True),
        (("21:00", "06:00"), "05:59", True),
        (("21:00", "06:00"), "06:00", False),
        (("21:00", "06:00"), "12:00", False),
        (("01:00", "05:30"), "01:00", True),
        (("01:00", "05:30"), "05:30", False),
        (("01:00", "05:30"), "00:59", False),
        (("00:00", "23:59"), "12:00", True),
    ],
)
def test_hours_may_lie_about_midnight(hours: tuple[str, str], now: str, expected: bool) -> None:
    assert is_within(hours, now) is expected

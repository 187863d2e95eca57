"""Numbers and durations as people write them, for messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 row", "1,234 rows". `plural` is needed where it is not the noun and an "s"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A length of time in the two largest units that matter: "45 s", "3 min", "1 h 20 min", "2 days 4 h"."""
    if seconds < 1:
        return "under 1 s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{counted(days, 'day')} {hours} h" if hours else counted(days, "day")

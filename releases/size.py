"""Numbers, for people."""


def size(count: int) -> str:
    """Write *count* bytes with a unit.

    >>> size(999), size(20_000_000)
    ('999 B', '20.0 MB')
    """
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def counted(count: int, what: str) -> str:
    """Write *count* of something.

    >>> counted(1, "path"), counted(0, "file")
    ('1 path', '0 files')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"

"""Pictures as SVG: how full the window was over an hour, and how an account's DOIs are shared out."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from syncd.web.markup import Html, element

_WIDTH, _HEIGHT = 720, 120
_SPAN = timedelta(hours=1)


def window_use(samples: Sequence[tuple[datetime, int]], total: int, now: datetime) -> Html:
    """The slots in use over the last hour, against the ceiling."""
    ceiling = max(total, 1)
    places = [
        (_WIDTH * (1 - (now - at) / _SPAN), _HEIGHT * (1 - min(used, ceiling) / ceiling))
        for at, used in samples
        if now - _SPAN <= at <= now
    ]
    words = f"{max((used for _, used in samples), default=0):,} of {total:,} slots at most"
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = []
    if places:
        area = f"M{places[0][0]:.1f},{_HEIGHT} L{line.replace(' ', ' L')} L{places[-1][0]:.1f},{_HEIGHT} Z"
        drawn = [element("path", d=area, class_="area"), element("polyline", points=line, class_="line")]
    marks = [
        element("line", x1=_WIDTH * n // 4, x2=_WIDTH * n // 4, y1=0, y2=_HEIGHT, class_="mark") for n in (1, 2, 3)
    ]
    return element(
        "svg",
        element("title", words),
        marks,
        drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        class_="window",
        role="img",
    )


def shares(parts: Sequence[tuple[str, int]]) -> Html:
    """Named parts of a whole, as one bar; what is there is visible, however small its share is."""
    whole = sum(count for _, count in parts) or 1
    shown = [(name, max(1.5, 100 * count / whole)) for name, count in parts if count]
    scale = 100 / (sum(width for _, width in shown) or 1)
    drawn, x = [], 0.0
    for name, width in shown:
        drawn.append(
            element("rect", x=f"{x:.2f}", y=0, width=f"{width * scale:.2f}", height=8, class_=name.replace("_", "-"))
        )
        x += width * scale
    words = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in parts if count) or "none"
    return element(
        "svg", element("title", words), drawn, viewBox="0 0 100 8", preserveAspectRatio="none", class_="shares",
        role="img",
    )  # fmt: skip

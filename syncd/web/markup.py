"""HTML in which every text is text: only what was made here is markup."""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_EMPTY = frozenset(("meta", "link", "input", "br"))


class Html(str):
    """Markup that was made by ``element``; any other string is text."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """One element.

    Args:
        tag: Its name.
        children: Text, which is escaped; elements; None, which is left out; lists of these.
        attributes: ``class_`` is class, ``data_label`` is data-label; True is an attribute without a value, None and
            False are none.
    """
    words = [tag]
    for name, value in attributes.items():
        name = name.rstrip("_").replace("_", "-")
        if value is True:
            words.append(name)
        elif value is not None and value is not False:
            words.append(f'{name}="{escape(str(value))}"')
    opened = f"<{' '.join(words)}>"
    if tag in _EMPTY:
        return Html(opened)
    return Html(f"{opened}{joined(children)}</{tag}>")


def prose(text: str) -> Html:
    """A sentence of ours, in which `commands` stand between backticks."""
    parts = text.split("`")
    return joined(element("code", part) if number % 2 else part for number, part in enumerate(parts))


def joined(children: Iterable[Child]) -> Html:
    """Several of them, one after the other."""
    return Html("".join(_written(child) for child in children))


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, int):
        return f"{child:,}"
    return joined(child)


def document(title: str, *body: Child) -> bytes:
    """A whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/style.css"),
        element("script", src="/page.js", defer=True),
    )
    return f"<!doctype html>{element('html', head, element('body', *body), lang='en')}".encode()

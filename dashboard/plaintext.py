"""Other people's words on our pages: text of cards, logs and keys must not turn into Markdown."""

import re

_ADDRESS = re.compile(r"(https?://[^\s)>\]]+)")
_SPECIAL = re.compile(r"([\\`*_{}\[\]$~#|<>:])")


def plain(text: str) -> str:
    """Return Markdown that shows a text as it is; web addresses in it become links."""
    parts = _ADDRESS.split(str(text))
    return "".join(part if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))

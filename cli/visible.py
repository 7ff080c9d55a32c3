"""Text from elsewhere, made harmless for a terminal and for its reader."""

import functools


def visible(text: str) -> str:
    r"""Show what could command a terminal or mislead a reader: controls, bidi overrides, invisible characters.

    Line ends and tabs stay. Examples: "\x1b[2J" -> "␛[2J", "a\u202eb" -> "a\\u202eb" (the letters, not the character).
    """
    shown = text.translate(_signs())
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")  # half a surrogate pair cannot be printed


@functools.cache
def _signs() -> dict[int, str]:
    pictured = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "␡"}
    spelled = [*range(0x80, 0xA0), 0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070)]
    spelled += [0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)]
    return pictured | {code: chr(code).encode("unicode_escape").decode() for code in spelled}

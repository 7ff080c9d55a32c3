"""Where a text is broken that is too wide for its column: between words, and where tokens end."""

import re

_CHIP = "⟨[^⟩]*⟩"  # bytes that are no characters
_BAR_OR_CHIP = re.compile("[⟨|¦‖]")
_SPACES_AND_WORD = re.compile(rf"( *)((?:{_CHIP}|[^ ])+)")
_UP_TO_BAR = re.compile(rf"(?:{_CHIP}|[^|¦‖])+[|¦‖]?|[|¦‖]")
_LETTER = re.compile(rf"{_CHIP}[|¦‖]?|.[|¦‖]?")


def with_whole_tokens(text: str, width: int) -> str:
    """Break a text into lines between words, and where a word is too wide, behind bars, so that no token is torn.

    What is too wide even so is broken between chips of bytes and letters. A text without either stays as it is.

    Example: with_whole_tokens("⟨F0 9F⟩|to|ken ends", 10) == "⟨F0 9F⟩|\nto|ken\nends"
    """
    if not _BAR_OR_CHIP.search(text):
        return text
    from rich.cells import cell_len  # late: it is slow to import

    lines = []
    for line in text.split("\n"):
        lines.append("")
        for joint, word in _SPACES_AND_WORD.findall(line):
            parts = [word]
            for pattern in (_UP_TO_BAR, _LETTER):
                parts = [p for part in parts for p in ([part] if cell_len(part) <= width else pattern.findall(part))]
            for part in (joint + parts[0], *parts[1:]):
                if lines[-1] and cell_len(lines[-1] + part) > width:
                    lines.append("")
                lines[-1] += part if lines[-1] else part.lstrip(" ")
    return "\n".join(lines)

"""The pages of the documentation, and what can be read out of them.

Not here: what must be true of them (the tests beside).
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
ALERTS = ROOT / "docs" / "alerts.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


def text(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language; the empty one is a terminal."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)
    return [block for name, block in fenced if name == language]


def spans(page: Path) -> list[str]:
    """Return what stands between single backticks, outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL))


def section(page: Path, heading: str) -> str:
    """Return what follows a heading, up to the next one of the same depth."""
    depth = heading.split(maxsplit=1)[0]
    return text(page).split(f"\n{heading}\n", 1)[1].split(f"\n{depth} ", 1)[0]


def first_cells(markdown: str) -> list[str]:
    """Return the names between backticks in the first column of all tables of a part of a page."""
    rows = re.findall(r"^\| (`.+?) \|", markdown, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]

# SPDX-License-Identifier: ISC
"""README and docs/ as their readers meet them: sections, and blocks of configuration, commands and output."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"(?m)^```(\w*)\n(?s:(.*?))^```$")
# "... stands in `/etc/starttlsd/starttlsd.ini`:" in front of a block: that file's content.
FILE_NAME = re.compile(r"`(/[^`]+)`:\s*\Z")


class Block:
    def __init__(self, page, match, text):
        self.page = page
        self.language, self.text = match.groups()
        self.line = text.count("\n", 0, match.start()) + 1
        before = text[:match.start()]
        name = FILE_NAME.search(before)
        self.file = name and name[1]
        # Nothing between it and the commands above.
        self.is_output = not self.language and bool(re.search(r"(?m)^```sh\n(?:(?!^```)[^\n]*\n)*```\s*\Z", before))

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def blocks(page, *languages):
    text = page.read_text()
    found = [Block(page, match, text) for match in FENCE.finditer(text)]
    return [block for block in found if not languages or block.language in languages]


def all_blocks(*languages):
    return [block for page in PAGES for block in blocks(page, *languages)]


def section(page, title):
    """The text below a heading, up to the next one of its rank or above."""
    match = re.search(rf"(?ms)^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", page.read_text())
    assert match, f"{page.name} has no section {title!r}"
    return match[2]


def first_column(text):
    """The `words` that begin the rows of its tables."""
    return [word for row in re.findall(r"(?m)^\| ((?:`[^`]+`,? ?)+)\|", text) for word in re.findall(r"`([^`]+)`", row)]


def anchors(page):
    """What a link may name behind `#`, as GitHub makes it of headings."""
    titles = re.findall(r"(?m)^#+ (.*)$", FENCE.sub("", page.read_text()))
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]

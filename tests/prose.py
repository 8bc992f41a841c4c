"""The sentences of a page: its prose, without code blocks, tables, headings and images."""

import re

BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SKIPPED = ("#", "|")
ITEM = re.compile(r"^\s*(?:[-*] |\d+\. )")
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`[^`]*`")
END = re.compile(r"(?<=[.!?])[\"')]*\s+")
WORD = re.compile(r"[^\W_][\w'/.,-]*")


def paragraphs(text: str) -> list[str]:
    """Each paragraph and each item of a list, as one line."""
    found: list[list[str]] = [[]]
    for line in BLOCK.sub("\n", text).splitlines():
        skipped = line.lstrip().startswith(SKIPPED)
        if not line.strip() or skipped or ITEM.match(line):
            found.append([])
        if not skipped:
            found[-1].append(ITEM.sub("", line).strip())
    return [" ".join(lines).strip() for lines in found]


def plain(paragraph: str) -> str:
    """What a reader reads: a link is its text, and a piece of code is one word."""
    text = LINK.sub(r"\1", IMAGE.sub("", paragraph))
    return CODE.sub("Code", text).replace("**", "")


def sentences(text: str) -> list[str]:
    """All of them; names and numbers alone are none."""
    parts = [part for paragraph in paragraphs(text) for part in END.split(plain(paragraph))]
    return [part for part in parts if WORD.search(part)]


def count_words(sentence: str) -> int:
    return len(WORD.findall(sentence))

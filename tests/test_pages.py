"""What pages promise their readers: plain sentences, links that lead somewhere, commands that make takes."""

import re
import shlex
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import arguments
import pytest
from messages import all_messages
from prose import count_words, sentences
from repository import ROOT, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
TROUBLE = (ROOT / "docs/troubleshoot.md").read_text()
# Words of a sentence: on average, and in the longest.
MEAN, LONGEST = 20, 30
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
COMMAND = re.compile(
    r"\bmake (?:--silent )?((?:[a-z]+|[A-Z]+=(?:'[^']*'|[^\s`'|),;]*))(?: (?:[a-z]+|[A-Z]+=(?:'[^']*'|[^\s`'|),;]*)))*)"
)
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
TARGETS = arguments.read_targets((ROOT / "Makefile").read_text())


def each_page(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


@each_page(PAGES)
def test_sentences_are_short(path: Path) -> None:
    lengths = {sentence: count_words(sentence) for sentence in sentences(path.read_text())}
    assert [sentence for sentence, words in lengths.items() if words > LONGEST] == []
    assert not lengths or statistics.mean(lengths.values()) <= MEAN


def test_long_sentences_are_found_in_prose_alone() -> None:
    text = "# A title\n\nOne `a b c` [two](three four).\nFive: six.\n\n| a | b |\n\n```\nno. no.\n```\n"
    text += "- seven. 8 nine\n- ten\n"
    assert sentences(text) == ["One Code two.", "Five: six.", "seven.", "8 nine", "ten"]
    assert [count_words(each) for each in sentences(text)] == [3, 2, 1, 2, 1]


def headings(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page(PAGES)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    lost = []
    for link in LINK.findall(FENCE.sub("", path.read_text())):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            lost.append(link)
    assert lost == []


def make_commands(text: str) -> Iterator[list[str]]:
    """The words behind each `make` in code."""
    for code in FENCE.findall(text) + SPAN.findall(FENCE.sub("", text)):
        for line in code.splitlines():
            yield from (shlex.split(words) for words in COMMAND.findall(line.partition("  #")[0]))


@each_page(PAGES)
def test_make_takes_what_pages_type(path: Path) -> None:
    problems = []
    for words in make_commands(path.read_text()):
        goals = [word for word in words if "=" not in word]
        typed = dict(word.split("=", 1) for word in words if "=" in word)
        problems += arguments.find_problems(TARGETS, goals, typed)
    assert problems == []


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text)


def runs(*texts: str, count: int = 4) -> set[tuple[str, ...]]:
    """Each four words in a row."""
    return {run for text in texts for run in zip(*(words(text)[start:] for start in range(count)), strict=False)}


def signs(message: list[str]) -> set[tuple[str, ...]]:
    """What finds a message on the page; a short one has three words in a row."""
    return runs(*message) or runs(*message, count=3)


# Each once, and without those of fewer words, which say nothing to search for: what failed follows them.
MESSAGES = [message for message in {" ".join(parts): parts for parts in all_messages()}.values() if signs(message)]
SHOWN = runs(*SPAN.findall(TROUBLE)) | runs(*SPAN.findall(TROUBLE), count=3)
# What several say finds none of them.
COMMON = {run for run, count in Counter(run for message in MESSAGES for run in signs(message)).items() if count > 1}


@pytest.mark.parametrize(
    "message",
    MESSAGES,
    ids=lambda message: " ".join(words(" ".join(message))[:8]),
)
def test_a_message_is_on_the_page_of_messages(message: list[str]) -> None:
    assert (signs(message) - COMMON or signs(message)) & SHOWN, message


PROMISES = re.findall(r"\| `([^`]+)` \|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("place", PROMISES)
def test_a_promise_has_its_test(place: str) -> None:
    file, _, function = place.partition("::")
    text = (ROOT / file).read_text()
    assert not function or re.search(rf"^def {function}\(", text, re.MULTILINE)

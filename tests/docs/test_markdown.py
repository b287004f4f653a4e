"""The project's Markdown: lines that fit a screen, links and paths that lead somewhere, a README read to its end."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_OURS = {"build", "dist", "demo-corpus", "node_modules"}
PAGES = sorted(
    path.relative_to(REPOSITORY)
    for path in REPOSITORY.rglob("*.md")
    if not any(part in NOT_OURS or part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
)
IN_CODE = re.compile(r"(`+).+?\1")
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)
OUR_PATH = re.compile(r"`((?:benchmarks|conf|demo|deploy|docker|docs|jobs|swallow_spark|tests)/[\w./-]*)`")


def text_of(page: Path) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def prose(text: str) -> Iterator[str]:
    """The lines outside of blocks of code."""
    in_block = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            in_block = not in_block
        elif not in_block:
            yield line


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, blanks to hyphens, punctuation gone, doubles numbered."""
    found: Counter[str] = Counter()
    result = set()
    for line in prose(text_of(page)):
        if heading := re.match(r"#+ (.*)", line):
            words = re.sub(r"\]\([^)]*\)", "", heading[1])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            result.add(f"{slug}-{found[slug]}" if found[slug] else slug)
            found[slug] += 1
    return result


def links(page: Path) -> Iterator[str]:
    text = "\n".join(prose(text_of(page)))
    for found in LINK.finditer(IN_CODE.sub(lambda code: "`" * len(code[0]), text)):
        yield found[1] or found[2]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_line_is_longer_than_120_characters(page: Path) -> None:
    long = [number for number, line in enumerate(text_of(page).splitlines(), 1) if len(line) > 120]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_link_is_dead(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (REPOSITORY / page.parent / path).resolve() if path else REPOSITORY / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


# The recipes of CONTRIBUTING.md name files that are still to be written.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=str)
def test_no_path_of_ours_is_dead(page: Path) -> None:
    named = OUR_PATH.findall("\n".join(prose(text_of(page))))
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_pages_of_the_site_link_to_pages_of_the_site_alone() -> None:
    """What lies outside of docs/ isn't on the site."""
    docs = REPOSITORY / "docs"
    for page in PAGES:
        if page.parts[0] == "docs":
            inner = [link.partition("#")[0] for link in links(page) if not re.match(r"[a-z]+:", link)]
            assert all((REPOSITORY / page.parent / path).resolve().is_relative_to(docs) for path in inner), page


def test_every_page_is_on_the_site() -> None:
    on_the_site = set(re.findall(r"[\w/]+\.md", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {str(page.relative_to("docs")) for page in PAGES if page.parts[0] == "docs"} == on_the_site


def test_the_readme_is_read_to_its_end() -> None:
    text = text_of(Path("README.md"))
    assert len(text.splitlines()) < 200
    assert len(text.split()) < 1100

"""Check every link of the built pages and of the repository's own Markdown.

``python .ci/links.py SITE`` looks at each ``href`` and ``src`` in SITE: a link inside must lead to a file, its
fragment to an id on that page, and nothing a page loads (script, style, picture, font) may come from elsewhere,
because the pages must work without a network and tell nobody who reads them. Links to other sites are not
followed: a check that depends on somebody else's server fails for no fault of ours.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
LOADING = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
# A canonical address or a feed is a statement about the page; the browser doesn't load it.
STATED = {"canonical", "alternate", "next", "prev", "edit"}
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")


class Page(HTMLParser):
    """The ids of a page, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this tag defines, links to or loads."""
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[key] for key in ("id", "name") if key in values)
        for name in ("href", "src"):
            if not values.get(name):
                continue
            if (tag, name) in LOADING and not set(values.get("rel", "").split()) & STATED:
                self.loaded.append(values[name])
            elif (tag, name) == ("a", "href"):
                self.links.append(values[name])


def check_site(site: Path) -> list[str]:
    """Return one sentence for each fault in the built pages."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = [] if pages else [f"{site}: holds no page; build it with: mkdocs build --strict"]
    for path, page in pages.items():
        here = path.relative_to(site)
        if here.name == "404.html":
            continue  # its links start at the address the site is served from
        for link in page.loaded:
            if urlsplit(link).scheme in {"http", "https"} or link.startswith("//"):
                faults.append(f"{here}: loads {link} from another site")
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                faults.append(f"{here}: {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                faults.append(f"{here}: {link} names a part that isn't there")
    return faults


def check_markdown(files: list[Path]) -> list[str]:
    """Return one sentence for each link in a Markdown file that leads to no file."""
    faults = []
    for path in files:
        for link in MARKDOWN_LINK.findall(path.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            if parts.scheme or not parts.path:
                continue
            if not (path.parent / unquote(parts.path)).exists():
                faults.append(f"{path.relative_to(ROOT)}: {link} leads nowhere")
    return faults


if __name__ == "__main__":
    found = check_site(Path(sys.argv[1]).resolve()) + check_markdown(sorted(ROOT.glob("*.md")))
    print("\n".join(found) or "all links lead somewhere")
    sys.exit(1 if found else 0)

"""Pages opened from a file in headless Chromium, and what can be asked of a page there."""

import math
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacbench.comparing.change_points import change_points
from pacbench.comparing.history import entry_of, series
from pacbench.reports.history_page import history_page
from pacbench.reports.history_table import history_table
from pacbench.reports.page import page
from pacbench.reports.trends import trend_figure

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
LONG_ROWS = 5000
SMALLEST_TEXT_PX = 12

PLAIN_TABLES = ".scroll { background: var(--card) !important; }"
"""axe-core judges no contrast upon a gradient, and the shadows at a table's sides are gradients upon its own colour."""

UNREADABLE = """(smallest) => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} px wide in ${root.clientWidth}`);
  for (const region of document.querySelectorAll(".scroll")) {
    const scrolls = region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight;
    if (!scrolls) continue;
    if (region.tabIndex !== 0) found.push(`no focus for ${region.outerHTML.slice(0, 80)}`);
    if (!["auto", "scroll"].includes(getComputedStyle(region).overflowX)) found.push("a table is cut off");
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const holder = text.parentElement;
    if (!text.data.trim() || !holder.checkVisibility({ visibilityProperty: true })) continue;
    if (holder.closest(".unseen, .skip, script, style")) continue;
    const said = text.data.trim().slice(0, 40);
    const size = parseFloat(getComputedStyle(holder).fontSize);
    if (size < smallest) found.push(`${size} px: ${said}`);
    if (holder.closest(".scroll")) continue;
    const plot = holder.closest(".plot")?.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = plot ? holder.getBoundingClientRect() : range.getBoundingClientRect();
    const [left, right] = plot ? [plot.left, plot.right] : [0, root.clientWidth];
    if (box.left < left - 1 || box.right > right + 1) found.push(`cut off at a side: ${said}`);
    if (plot && (box.top < plot.top - 1 || box.bottom > plot.bottom + 1)) found.push(`cut off above or below: ${said}`);
  }
  return found;
}"""


class OpenPage:
    """A page in the browser; `complaints` are its console messages and script errors, `requests` what it asked for."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        tab.on("request", lambda request: self.requests.append(request.url))

    def wait_until(self, expression: str) -> None:
        """Ask until an expression is true; playwright's own waiting needs `eval`, which the policy forbids."""
        for _ in range(300):
            if self.tab.evaluate(expression):
                return
            self.tab.wait_for_timeout(50)
        pytest.fail(f"not true within 15 s: {expression}")

    def wait_for_status(self, table: str, start: str) -> None:
        """Wait until a table's live region says something that starts so."""
        self.wait_until(f"document.getElementById('{table}-status').textContent.startsWith({start!r})")

    def draw_plots(self) -> int:
        """Bring every plot into view, and wait for it; how many there are."""
        plots = self.tab.locator(".plot")
        for number in range(plots.count()):
            plots.nth(number).scroll_into_view_if_needed()
            plots.nth(number).locator(".main-svg").first.wait_for()
        return int(plots.count())

    def findings(self) -> list[str]:
        """What axe-core has against the page, of any impact."""
        axe = pytest.importorskip(
            "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
        )
        self.tab.add_style_tag(content=PLAIN_TABLES)
        response = axe.Axe().run(self.tab, options={"resultTypes": ["violations"]}).response
        return [
            f"{finding['id']} ({finding['impact']}): {[node['target'] for node in finding['nodes']][:3]}"
            for finding in response["violations"]
        ]

    def unreadable(self) -> list[str]:
        """What cannot be read at the window's width: text that is too small or cut off, a page that is too wide."""
        return list(self.tab.evaluate(UNREADABLE, SMALLEST_TEXT_PX))

    def rows(self, table: str) -> Any:
        """The rows of a table that are on the screen."""
        return self.tab.locator(f"#{table} tbody tr:visible")

    def column(self, table: str, key: str) -> list[str]:
        """What a column of a table says on the screen, without the marks of its notes."""
        return [text.split("\n")[0] for text in self.rows(table).locator(f".column-{key} > span").all_inner_texts()]

    def table_of(self, title: str) -> str:
        """The identity of the table under a heading."""
        return str(self.tab.locator(f'section:has(> h2:text-is("{title}")) table').get_attribute("id"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, for one file of tests (two drivers in one process would share an event loop)."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with driver.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., OpenPage]]:
    """Opens a page, given as a file or as text, from its file; the options are those of a browser context."""
    contexts = []

    def open_page(document: Path | str, width: int = 1400, **options: Any) -> OpenPage:
        if isinstance(document, str):
            file = tmp_path / "index.html"
            file.write_text(document, encoding="utf-8")
        else:
            file = document
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options))
        shown = OpenPage(contexts[-1].new_page())
        shown.tab.goto(file.as_uri())
        return shown

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def everything(session_run_folder: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that has everything that a report has."""
    folder = session_run_folder()
    folder.everything()
    return _written(tmp_path_factory, page(folder.read()))


@pytest.fixture(scope="session")
def long(session_run_folder: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one table of 5,000 rows, some without a number."""
    folder = session_run_folder()
    backends = ("unfold", "native")
    folder.settings(["operators"], backends)
    folder.environment()
    for backend in backends:
        folder.green(backend)
        for number in range(LONG_ROWS // len(backends)):
            skipped = {"outcome": "skipped", "reason": f"no kernel of size {number % 7}"}
            timed = {"samples_s": [1e-3 * (1 + number * 7919 % 997)], "flops": 1e9, "bytes": 1e6 * (1 + number % 5)}
            folder.case(
                "operators", f"test_time[W{number}-forward]", backend, method=f"W{number}", operator="pacconv2d",
                direction="forward", **(skipped if number % 10 == 0 else timed),
            )  # fmt: skip
        folder.ran("operators", backend=backend)
    return _written(tmp_path_factory, page(folder.read()))


@pytest.fixture(scope="session")
def history(session_run_folder: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a history of 12 runs; since the seventh everything takes a fifth longer."""
    entries = []
    for number in range(12):
        folder = session_run_folder()
        started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        folder.settings(["operators"], started=started.isoformat())
        folder.environment()
        folder.green()
        folder.operators(scale=(1.2 if number >= 6 else 1.0) * (1 + 0.002 * math.sin(number)))
        folder.ran("operators")
        entries.append(entry_of(folder.read(), f"c{number:07}", f"commit {number}"))
    told = [(line, change_points(line.logs)) for line in series(entries)]
    trends = [trend_figure(line, changes, f"trend-{place}") for place, (line, changes) in enumerate(told)]
    return _written(tmp_path_factory, history_page(told, [history_table(told)], trends))


def _written(folders: pytest.TempPathFactory, text: str) -> Path:
    file = folders.mktemp("page") / "index.html"
    file.write_text(text, encoding="utf-8")
    return file

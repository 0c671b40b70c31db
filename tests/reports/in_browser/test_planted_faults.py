"""The checks are checked: each fault that is planted in a page turns the check that is for it red."""

import base64
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

END = "</main>"


def with_fault(file: Path, old: str, new: str) -> str:
    text = file.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("<label for=", "<label data-for=", "label (critical)"),
        ('<html lang="en">', "<html>", "html-has-lang (serious)"),
        (END, f'<p style="color: #aaa">Hardly there.</p>{END}', "color-contrast (serious)"),
        ("tbody th { font-weight: 600; }", "tbody th { color: #bbb; }", "color-contrast (serious)"),
        (END, f'<img src="data:,">{END}', "image-alt (critical)"),
        ('role="img" aria-label=', 'role="img" title-of=', "role-img-alt (serious)"),
    ],
)
def test_axe_finds_it(old: str, new: str, found: str, everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(with_fault(everything, old, new), width=390)
    assert any(finding.startswith(found) for finding in shown.findings())


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ("<div style='width: 150vw'>wide</div>", "the page is"),
        ("<p style='font-size: 9px'>small print</p>", "9 px: small print"),
        ("<p style='overflow: hidden; white-space: nowrap'>" + "long " * 99 + "</p>", "cut off at a side"),
        ("<div class='scroll' style='width: 9rem; height: 2rem'><p>" + "long " * 99 + "</p></div>", "no focus for"),
    ],
)
def test_it_is_unreadable(new: str, found: str, everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(with_fault(everything, END, f"{new}{END}"), width=390)
    assert any(finding.startswith(found) for finding in shown.unreadable())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<thead>", "<thead hidden></thead><tbody>", "error: "),
        (END, f'<script>console.log("foreign script ran")</script>{END}', "Content Security Policy"),
        (END, f'<img alt="" src="https://example.org/a.png">{END}', "Content Security Policy"),
    ],
)
def test_the_console_complains(
    old: str, new: str, complaint: str, everything: Path, opened: Callable[..., Any]
) -> None:
    shown = opened(with_fault(everything, old, new))
    assert any(complaint in line for line in shown.complaints)
    assert not any("foreign script ran" in line and "Policy" not in line for line in shown.complaints)


def test_a_request_is_seen(everything: Path, opened: Callable[..., Any]) -> None:
    without_policy = with_fault(everything, "img-src data: blob:", "img-src *")
    shown = opened(without_policy.replace(END, f'<img alt="" src="https://example.org/a.png">{END}'))
    assert "https://example.org/a.png" in shown.requests


def test_a_page_whose_library_was_changed_draws_no_plot(everything: Path, opened: Callable[..., Any]) -> None:
    """The policy holds the hash of plotly.js too, which the page unpacks by itself."""
    foreign = base64.b64encode(gzip.compress(b"document.title = 'foreign script ran'")).decode()
    text = re.sub(r'(id="plotly">)[^<]+', rf"\g<1>{foreign}", everything.read_text(encoding="utf-8"))
    shown = opened(text)
    shown.tab.locator(".plot").first.scroll_into_view_if_needed()
    shown.wait_until("document.querySelector('.plot').textContent.startsWith('This browser could not draw')")
    assert shown.tab.title() == "pacbench run"
    assert any("Content Security Policy" in line for line in shown.complaints)

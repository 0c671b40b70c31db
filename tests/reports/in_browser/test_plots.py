"""Every kind of plot is drawn, in the page's colours, and said in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

TITLE_COLOUR = "getComputedStyle(document.querySelector('.plot .xtitle')).fill"


def plot(shown: Any, title: str) -> Any:
    return shown.tab.locator("figure", has=shown.tab.locator("figcaption", has_text=title)).locator(".plot").first


def test_the_plots_of_a_run(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    assert shown.draw_plots() == 8
    assert plot(shown, "Speed against quality, scenes").locator(".scatterlayer .point").count() == 12
    assert plot(shown, "Time of one call, forward").locator(".scatterlayer .point").count() == 12
    roofline = plot(shown, "Roofline, forward")
    assert roofline.locator(".scatterlayer .point").count() == 12
    assert roofline.locator(".scatterlayer .js-line").count() == 1, "the roof"
    assert shown.tab.get_by_text("the roof is 40.1 GB/s of copy bandwidth, then 228 GFLOP/s").first.is_visible()


def test_the_trends_of_a_history(history: Path, opened: Callable[..., Any]) -> None:
    shown = opened(history)
    assert shown.draw_plots() == 12
    changed = shown.tab.locator(".plot").first
    assert changed.locator(".scatterlayer .point").count() == 12
    assert changed.locator(".shapelayer path").count() == 1
    assert "+20 % at c0000006" in changed.locator(".annotation").text_content()
    assert "lasting changes: +20 % at c0000006" in changed.get_attribute("aria-label")
    assert "lasting changes: none" in shown.tab.locator(".plot").last.get_attribute("aria-label")


def test_every_plot_has_words(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    plots = shown.tab.locator(".plot")
    words = [plots.nth(number).get_attribute("aria-label") for number in range(plots.count())]
    assert {plots.nth(number).get_attribute("role") for number in range(plots.count())} == {"img"}
    assert "Speed against quality, scenes: 12 points of unfold, inductor" in words[4]
    assert "from 0.0687 (unary, inductor) to 5.59e+03 (pac_crf_16_64, unfold)" in words[4]


def test_plots_follow_the_colour_scheme(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    shown.draw_plots()
    assert shown.tab.evaluate(TITLE_COLOUR) == "rgb(28, 34, 38)"
    shown.tab.emulate_media(color_scheme="dark")
    shown.wait_until(f"{TITLE_COLOUR} === 'rgb(228, 231, 232)'")


def test_a_pointer_is_told_the_whole_name(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    shown.draw_plots()
    point = plot(shown, "Speed against quality, scenes").locator(".scatterlayer .point").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    shown.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = shown.tab.locator(".hoverlayer .hovertext")
    label.wait_for()
    assert "pac_crf_16_64" in label.text_content()

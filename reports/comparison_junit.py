"""A comparison as JUnit XML, which CI systems show: a case is a test, slower or failed is a failure."""

from __future__ import annotations

from xml.etree import ElementTree

from pacbench.comparing.comparison import ComparedCase, Comparison
from pacbench.comparing.resource_changes import ResourceChange

from .comparison_table import NO_VERDICT, tally
from .escaping import one_line
from .row_cells import EVERY_CASE


def comparison_junit(comparison: Comparison, *, strict: bool = False) -> str:
    """The file's text. What could not be compared without having failed, or is ambiguous, is a skipped test.

    Args:
        comparison: The comparison.
        strict: Whether an ambiguous case is a failure.
    """
    cases = [_element(case, strict) for case in comparison.cases]
    cases += [_resource(change) for change in comparison.resources]
    failures = sum(element.find("failure") is not None for element in cases)
    skipped = sum(element.find("skipped") is not None for element in cases)
    suite = ElementTree.Element(
        "testsuite", name="pacbench compare", tests=str(len(cases)), failures=str(failures), errors="0",
        skipped=str(skipped),
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"base": comparison.base, "new": comparison.new, "tally": tally(comparison)}
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=one_line(value))
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _element(case: ComparedCase, strict: bool) -> ElementTree.Element:
    element = ElementTree.Element(
        "testcase", classname=one_line(f"{case.suite}.{case.backend}"), name=one_line(case.case or EVERY_CASE)
    )
    if case.new_s is not None and case.reference is None:
        element.set("time", f"{case.new_s:.9f}")
    said = _said(case)
    if case.failed or case.verdict == "slower" or (strict and case.verdict == "ambiguous"):
        ElementTree.SubElement(element, "failure", message=said)
    elif case.verdict in (None, "ambiguous"):
        ElementTree.SubElement(element, "skipped", message=said)
    else:
        ElementTree.SubElement(element, "system-out").text = said
    return element


def _resource(change: ResourceChange) -> ElementTree.Element:
    element = ElementTree.Element(
        "testcase", classname=one_line(f"resources.{change.backend}"), name=one_line(f"{change.kernel}: {change.text}")
    )
    if change.worse:
        ElementTree.SubElement(element, "failure", message=one_line(f"worse: {change.text}"))
    return element


def _said(case: ComparedCase) -> str:
    parts = [case.verdict or NO_VERDICT]
    if case.ratio is not None:
        parts.append(f"NEW / BASE {case.ratio:.3f} ({case.low:.3f} to {case.high:.3f}), p {case.corrected_p:.2g}")
    if case.reason:
        parts.append(case.reason)
    return one_line(": ".join(parts))

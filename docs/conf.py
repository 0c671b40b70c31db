"""How Sphinx makes the site of this folder: `tox -e docs`."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from sphinx.application import Sphinx

project = "pacbench"
release = importlib.metadata.version("pacbench")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"pacbench {release}"
html_copy_source = False

# links to headings, as `#compute-sanitizer`
myst_heading_anchors = 3

# docstrings name objects between single backticks; what is none of ours stays plain code
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!pacbench\.).*"),
    # type variables and aliases, which have no page to lead to
    ("py:class", r"pacbench\.(crf\.lattice_crf\.Prepared|models\.adaptive_fcn\.Network)"),
    ("py:class", r"pacbench\.(nn\.hot_swapping\.Model|running\.measure\.Result)"),
    # between a job and its coordinator; no author of a suite meets it
    ("py:class", r"pacbench\.running\.seat\.Seat"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Shapes"]

_LINK_TO_MARKDOWN = re.compile(r"\]\((?P<path>\.\./[^)#:]+\.md)\)")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _offer_files_outside)


def _offer_files_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Markdown files beside this folder are no pages of the site: a link to one offers the file itself."""
    folder = Path(app.srcdir, page).parent

    def link(match: re.Match[str]) -> str:
        inside = (folder / match["path"]).resolve().is_relative_to(Path(app.srcdir).resolve())
        return match[0] if inside else f"](path:{match['path']})"

    source[0] = _LINK_TO_MARKDOWN.sub(link, source[0])

"""Sphinx's configuration of the course's website."""
import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = html_title = "LRP by hand"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "index"
exclude_patterns = ["lessons/downloads/*", "lessons/exercises/*", "lrp_numpy/*",
                    "lessons/examples/*", "lessons/teachers/*.py"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True         # a lesson needs nothing but the installed package
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_execution_show_tb = True
highlight_language = "none"         # of what names no language: a formula, output
html_theme = "furo"
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False     # it would fetch pages, which a browser forbids on disk
html_extra_path = ["extra"]          # the page, see build.add_page
autodoc_typehints = "none"
autodoc_member_order = "bysource"
MARKUP = re.compile(r"`[^`]*`|[*|_\\]")


def write_inline(translator, node):
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def write_block(translator, node):
    translator.body.append(f"<div>{tex2mathml(node.astext(), as_block=True)}</div>\n")
    raise nodes.SkipNode


def plain(match):
    """`x` as code; * | _ and the backslash as they are."""
    return f"`{match[0]}`" if match[0].startswith("`") else "\\" + match[0]


def as_written(app, what, name, obj, options, lines):
    """Docstrings are plain text; what is indented, such as a formula, is shown as it stands."""
    was_indented, written = False, []
    for line in lines:
        is_indented = line.startswith(" ") or (was_indented and not line)
        if is_indented and not was_indented:
            written += ["", "::", ""]
        elif was_indented and not is_indented:
            written.append("")
        written.append(line if is_indented else MARKUP.sub(plain, line))
        was_indented = is_indented
    lines[:] = [*written, ""]


def setup(app):
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("autodoc-process-docstring", as_written)

"""How Sphinx makes the site: `make docs`. What is our own in it stands in _ext/."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "microgpt"
author = "The microgpt contributors"
extensions = ["myst_parser", "extension", "reference"]
nitpicky = True

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "microgpt"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_copy_source = False
html_show_sphinx = html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#8a4b08", "color-brand-content": "#8a4b08"},
    "dark_css_variables": {"color-brand-primary": "#f0b060", "color-brand-content": "#f0b060"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
exclude_patterns = ["_ext"]

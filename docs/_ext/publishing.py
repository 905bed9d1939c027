"""What the site has beyond its pages: links to the repository, a Markdown copy of each page, and `llms.txt`."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from repository_links import link
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import PassthroughTextElement

_SUMMARY_CHARACTERS = 300


def setup(app: Any) -> dict[str, bool]:
    """Add the directive, the links of each page, and the files beside the pages."""
    app.add_directive("repository-button", RepositoryButton)
    for plain in (PassthroughTextElement, nodes.abbreviation):
        app.add_node(plain, override=True, markdown=(_pass, _pass))
    app.connect("html-page-context", _add_links)
    app.connect("doctree-resolved", _figures_as_text)
    app.connect("build-finished", _write_llms_txt)
    return {"parallel_read_safe": True}


class RepositoryButton(SphinxDirective):
    """A button that leads to the repository."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the button, with the content as its words."""
        classes = ["sd-btn", "sd-btn-outline-primary", "sd-text-wrap"]
        words = " ".join(self.content)
        button = nodes.reference("", words, refuri=link(self.env.docname, ""), classes=classes)
        return [nodes.paragraph("", "", button)]


def _pass(_translator: Any, _node: nodes.Node) -> None:
    """Nothing but what is inside is written in Markdown."""


def _add_links(
    app: Any, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    if doctree is None:
        return  # search, index: not made from a file
    name = app.env.doc2path(pagename, base=False)
    made_from_code = pagename.startswith(("apidocs/", "reference/"))
    source = "docs/_ext" if made_from_code else f"docs/{name}"
    context["theme_source_edit_link"] = link(pagename, source, "tree" if made_from_code else "edit")
    context["theme_source_view_link"] = f"{pagename.rpartition('/')[2]}.md"


def _figures_as_text(app: Any, doctree: nodes.document, _page: str) -> None:
    if app.builder.name != "markdown":
        return
    for raw in list(doctree.findall(nodes.raw)):
        if described := re.search(r"<desc[^>]*>(.*?)</desc>", raw.astext(), flags=re.DOTALL):
            raw.replace_self(nodes.paragraph("", described[1]))


def _write_llms_txt(app: Any, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    lines = [f"# {app.config.project}", "", f"> {_summary(app, 'index')}", ""]
    for toctree in app.env.get_doctree("index").findall(lambda node: node.tagname == "toctree"):
        lines += [f"## {toctree['caption']}", ""]
        for page in toctree["includefiles"]:
            lines.append(f"- [{app.env.titles[page].astext()}]({page}.md): {_summary(app, page)}")
        lines.append("")
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines))


def _summary(app: Any, page: str) -> str:
    paragraph = next(iter(app.env.get_doctree(page).findall(nodes.paragraph)), None)
    text = paragraph.astext().replace("\n", " ") if paragraph else ""
    return text if len(text) <= _SUMMARY_CHARACTERS else text[:_SUMMARY_CHARACTERS].rpartition(" ")[0] + " …"

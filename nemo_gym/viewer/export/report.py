"""Writing the report: the page and its data in one file."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.files import make_folder
from nemo_gym.collections.line_file import OutputError
from nemo_gym.viewer.export.bundle import STATIC, joined_modules, joined_sheets
from nemo_gym.viewer.export.content import Exported, content_of

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Rollouts</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header id="top"></header>
<main id="main" tabindex="-1"></main>
<div id="status" role="status" class="visually-hidden"></div>
<script id="exported" type="application/json">{data}</script>
<script>{parser}</script>
<script>{script}</script>
</body>
</html>
"""


def write_report(path: Path, exported: Exported) -> int:
    """Write a collection's pages, with the rollouts of a filter; return how many.

    Raises:
        OutputError: The file can't be written.
        QueryError, UnknownCollectionError: As `Answers` raises them.
    """
    content = content_of(exported)
    make_folder(path.absolute().parent)
    try:
        path.write_text(_page(content))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return len(content["rollout"])


def _page(content: dict[str, Any]) -> str:
    style = joined_sheets()
    parser = _inside_script((STATIC / "vendor" / "markdown-it.min.js").read_text())
    script = _inside_script(joined_modules(STATIC / "js", "main.js"))
    policy = (
        f"default-src 'none'; script-src {_digest(parser)} {_digest(script)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    # As JSON no text needs a '<', so none of it can end the element that it is in.
    data = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS).decode().replace("<", "\\u003c")
    return _PAGE.format(policy=policy, style=style, data=data, parser=parser, script=script)


def _inside_script(source: str) -> str:
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

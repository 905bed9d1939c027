"""Writing the report: the page, the overview, and the rollouts of a filter, in one file."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import orjson

from nemo_gym.collections.files import make_folder
from nemo_gym.collections.line_file import OutputError
from nemo_gym.viewer.export.bundle import joined_modules, joined_sheets
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.serving.answers import Answers, Filter, NotFoundError

STATIC = Path(__file__).parent.parent / "static"
_MAX_RAW_BYTES = 400_000
_MAX_ITEMS = 2_000
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


def write_report(library: Library, name: str, query: str, limit: int, path: Path) -> int:
    """Write the first `limit` rollouts that a filter admits, with their collection's overview; return how many.

    Raises:
        OutputError: The file can't be written.
        QueryError, UnknownCollectionError: As `Answers` raises them.
    """
    library.follower(name).catch_up()
    content = _content(Answers(library), name, query, limit)
    make_folder(path.absolute().parent)
    try:
        path.write_text(_page(content))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return len(content["rollout"])


def _content(answers: Answers, name: str, query: str, limit: int) -> dict[str, Any]:
    listed = answers.rollouts(name, Filter(query), 0, limit)
    keys = [rollout.key for rollout in listed.rollouts]
    pages = {key: answers.rollout(name, key) for key in keys}
    for key, page in pages.items():
        for offset in range(len(page.items), min(page.num_items, _MAX_ITEMS), len(page.items) or 1):
            page.items += answers.items(name, key, offset)
        page.num_items = len(page.items)
    with_tokens = [key for key in keys if pages[key].has_tokens]
    return {
        "overview": answers.overview(name).model_dump(mode="json"),
        "rollouts": listed.model_dump(mode="json"),
        "rollout": {key: page.model_dump(mode="json") for key, page in pages.items()},
        "tokens": {key: [call.model_dump() for call in answers.tokens(name, key, None, 0)] for key in with_tokens},
        "raw": {key: _raw(answers, name, key) for key in keys},
    }


def _raw(answers: Answers, name: str, key: str) -> str:
    try:
        raw = answers.raw(name, key)
    except (OSError, NotFoundError) as error:
        return str(error)
    return raw.decode("utf-8", "replace") if len(raw) <= _MAX_RAW_BYTES else f"{len(raw):,} bytes: not in this file"


def _page(content: dict[str, Any]) -> str:
    index = (STATIC / "index.html").read_text()
    style = joined_sheets(STATIC, index)
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

"""The words that a verifier looks for, as far as its code and its settings tell."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nemo_gym.testing.in_process import InProcess

_MAX_WORDS = 20
_MAX_CHARS = 200
_NOT_WORDS = frozenset({"host", "name", "entrypoint", "domain", "description", "datasets"})
_ALWAYS = ("correct", "[[A=B]]", "reward: 1")


def verifier_words(env: InProcess) -> list[str]:
    """Return texts of the environment's module and of its settings, such as a judge's labels; at most 23."""
    settings = env.server.config.model_dump(mode="json", exclude=set(_NOT_WORDS), exclude_defaults=True)
    server_class = type(env.server)
    code = [_tree(server_class), _tree(sys.modules.get(server_class.__module__))]
    found = dict.fromkeys([*_in_settings(settings), *(word for tree in code for word in _in_code(tree))])
    return [*_ALWAYS, *(word for word in found if 0 < len(word.strip()) <= _MAX_CHARS and word != "__main__")][
        : _MAX_WORDS + len(_ALWAYS)
    ]


def _tree(source_of: Any) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(source_of)))
    except (OSError, TypeError, SyntaxError):  # written in a notebook, or made by a decorator
        return ast.Module([], [])


def _in_code(tree: ast.AST) -> Iterator[str]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _in_settings(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _in_settings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_settings(inner)
    elif isinstance(value, str):
        yield value

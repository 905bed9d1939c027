"""The words that a verifier looks for, as far as its code and its settings tell."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nemo_gym.testing.in_process import InProcess

_MAX_WORDS = 40
_MAX_CHARS = 200
_NOT_WORDS = frozenset({"host", "name", "entrypoint", "domain", "description", "datasets"})
_ALWAYS = ("correct", "[[A=B]]", "reward: 1.0")


def verifier_words(env: InProcess) -> list[str]:
    """Return texts of the environment's module and of its settings, such as a judge's labels; at most 43."""
    settings = env.server.config.model_dump(mode="json", exclude=set(_NOT_WORDS), exclude_defaults=True)
    module = sys.modules.get(type(env.server).__module__)
    try:
        tree = ast.parse(inspect.getsource(module)) if module is not None else ast.Module([], [])
    except (OSError, TypeError, SyntaxError):  # written in a notebook, say
        tree = ast.Module([], [])
    found = dict.fromkeys([*_in_settings(settings), *_in_code(tree)])
    return [*_ALWAYS, *(word for word in found if 0 < len(word.strip()) <= _MAX_CHARS and word != "__main__")][
        : _MAX_WORDS + len(_ALWAYS)
    ]


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

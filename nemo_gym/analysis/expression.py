"""A condition over the fields of a task's profile, such as `pass_rate > 0.1 and pass_rate < 0.9`; never `eval`."""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean

Values = Mapping[str, float | None]
_Evaluate = Callable[[Values], Any]

_MAX_CHARS = 1_000
_MAX_DEPTH = 50
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE = "compare it, and quote the condition, or the shell reads its < and >: 'where=pass_rate > 0.5'"
_ALLOWED = "numbers, fields, + - * /, < <= > >= == !=, and, or, not, parentheses"


class Condition:
    """A condition that was read.

    A field without a value (a task without scored rollouts has no pass rate) makes every comparison with it false,
    and so does a division by 0.

    Args:
        text: The condition.
        fields: Names that it may use.
        where: The parameter that it comes from, for errors.

    Raises:
        ConfigError: It can't be read, uses another name, or something that isn't allowed.
    """

    def __init__(self, text: str, fields: Collection[str], where: str = "where") -> None:
        self.text = text = text.strip()
        self._fields = list(fields)
        self._where = where
        if len(text) > _MAX_CHARS:
            raise self._error(f"the condition is longer than {_MAX_CHARS} characters")
        try:
            tree = ast.parse(text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._error(f"the condition can't be read: {text!r}: {error}") from error
        self._evaluate = self._condition(tree.body, 0)

    def __call__(self, values: Values) -> bool:
        """Tell whether the condition holds; `values` has every field, None where it has no value."""
        return bool(self._evaluate(values))

    def _condition(self, node: ast.expr, depth: int) -> _Evaluate:
        """Return what evaluates to true or false."""
        self._check_depth(depth)
        match node:
            case ast.BoolOp(op=op, values=nodes):
                parts = [self._condition(each, depth + 1) for each in nodes]
                if isinstance(op, ast.And):
                    return lambda values: all(part(values) for part in parts)
                return lambda values: any(part(values) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                negated = self._condition(inner, depth + 1)
                return lambda values: not negated(values)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self._comparison([left, *rights], ops, depth)
            case ast.Constant(value=bool() as constant):
                return lambda values: constant
        if not isinstance(node, ast.Name | ast.Constant | ast.BinOp | ast.UnaryOp):
            raise self._not_allowed(node)
        raise self._error(f"'{self._shown(node)}' is neither true nor false", fix=_COMPARE)

    def _comparison(self, nodes: list[ast.expr], ops: list[ast.cmpop], depth: int) -> _Evaluate:
        sides = [self._number(node, depth + 1) for node in nodes]
        compare = []
        for op in ops:
            if type(op) not in _COMPARISONS:
                raise self._not_allowed(nodes[0])
            compare.append(_COMPARISONS[type(op)])

        def holds(values: Values) -> bool:
            numbers = [side(values) for side in sides]
            if None in numbers:
                return False
            return all(test(numbers[at], numbers[at + 1]) for at, test in enumerate(compare))

        return holds

    def _number(self, node: ast.expr, depth: int) -> _Evaluate:
        """Return what evaluates to a number or None."""
        self._check_depth(depth)
        match node:
            case ast.Constant(value=int() | float() as constant) if not isinstance(constant, bool):
                number = float(constant) if abs(constant) < 1e300 else None
                return lambda values: number
            case ast.Name(id=name):
                if name not in self._fields:
                    fix = did_you_mean(name, self._fields)
                    raise ConfigError(Mistake(f"no field named '{name}'", self._where, self._fields, fix))
                return lambda values: values[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                negated = self._number(inner, depth + 1)
                return lambda values: None if (value := negated(values)) is None else -value
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _arithmetic(_ARITHMETIC[type(op)], self._number(left, depth + 1), self._number(right, depth + 1))
        raise self._not_allowed(node)

    def _check_depth(self, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self._error(f"the condition is nested deeper than {_MAX_DEPTH} levels")

    def _shown(self, node: ast.expr) -> str:
        # A piece of the text: writing a deeply nested node anew would exceed the recursion limit.
        return (ast.get_source_segment(self.text, node) or self.text)[:80]

    def _not_allowed(self, node: ast.expr) -> ConfigError:
        return self._error(f"'{self._shown(node)}' isn't allowed in a condition", fix=f"allowed: {_ALLOWED}")

    def _error(self, what: str, fix: str | None = None) -> ConfigError:
        return ConfigError(Mistake(what, self._where, fix=fix or "write it like: pass_rate > 0.1 and pass_rate < 0.9"))


def _arithmetic(apply: Callable[[Any, Any], Any], left: _Evaluate, right: _Evaluate) -> _Evaluate:
    def result(values: Values) -> float | None:
        first, second = left(values), right(values)
        if first is None or second is None:
            return None
        try:
            return float(apply(first, second))
        except (ZeroDivisionError, OverflowError):
            return None

    return result

"""Whether an answer is mathematically equal to the expected one. Runs as heavy work: some answers compute for ever.

math-verify finds and compares; what it takes for equal isn't always an answer, and `not_an_answer` says so.
"""

import logging
from typing import Any

from resources_servers.math_with_judge.not_an_answer import says_nothing_or_everything


def compare(expected: str, text: str, box: str | None, question: str) -> tuple[float, str | None]:
    """Return 1.0 or 0.0, and the answer that was found in the text, as math-verify writes it; None: there is none.

    Args:
        expected: LaTeX, or plain; may be boxed, or in one pair of `$` or `\\(`.
        text: All that the policy wrote.
        box: The last box in it; None: it has none.
        question: Of the task; an answer that only repeats an expression of it is none.
    """
    # Here, not above: it takes a second and is an optional package, of which the server itself needs nothing.
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)  # it tells at length what it couldn't read
    golds = parse(f"\\boxed{{{_undelimited(expected)}}}", [LatexExtractionConfig()], parsing_timeout=None)
    found = parse(text, [ExprExtractionConfig(), LatexExtractionConfig()], parsing_timeout=None)
    if not golds or not found:
        return 0.0, None
    written = next((one for one in found if isinstance(one, str)), "")
    for one in found:
        if verify(golds, [one], timeout_seconds=None):
            counts = not (_is_left_to_compute(one, golds) or _is_false(one))
            counts = counts and not says_nothing_or_everything(text, box, written, expected, question)
            return float(counts), str(one)
    return 0.0, str(found[0])


def _undelimited(expected: str) -> str:
    bare = expected.strip()
    for start, end in (("\\(", "\\)"), ("$", "$")):
        if bare.startswith(start) and bare.endswith(end) and len(bare) > len(start) + len(end):
            bare = bare[len(start) : -len(end)].strip()
    return bare


def _is_left_to_compute(answer: Any, golds: list[Any]) -> bool:
    """Tell whether it has an integral, a sum, a limit or the like, and the expected answer has none."""
    from sympy import Basic, Derivative, Eq, Limit
    from sympy.concrete.expr_with_limits import ExprWithLimits

    def left(one: Any) -> bool:
        one = one.rhs if isinstance(one, Eq) else one
        return isinstance(one, Basic) and bool(one.atoms(Derivative, Limit) or one.has(ExprWithLimits))

    return left(answer) and not any(left(gold) for gold in golds)


def _is_false(answer: Any) -> bool:
    """Tell whether it says that two numbers are equal that aren't: `4 = 5` is no way to say 5."""
    from sympy import Basic, Eq

    if not isinstance(answer, Basic):
        return False
    numbers = [eq for eq in answer.atoms(Eq) if not eq.free_symbols]
    return any(abs((eq.lhs - eq.rhs).evalf()) > 1e-6 for eq in numbers)

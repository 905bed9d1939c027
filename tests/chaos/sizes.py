"""How large a case is: the short form is part of `make test`, the full one has the marker `soak`."""

import pytest

SHORT_OR_SOAK = [
    pytest.param(False, id="short"),
    pytest.param(True, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
]

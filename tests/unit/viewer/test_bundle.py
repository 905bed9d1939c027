"""The page's modules in one script: all of them, in an order that runs; what can't be joined is refused."""

from pathlib import Path

import pytest

from nemo_gym.viewer.export.bundle import STATIC, joined_modules, joined_sheets
from nemo_gym.viewer.export.content import Exported
from nemo_gym.viewer.export.report import write_report
from tests.made_collections import write_collection


def test_every_module_of_the_page_is_in_the_script_once_and_after_what_it_imports() -> None:
    script = joined_modules(STATIC / "js", "main.js")
    for path in (STATIC / "js").rglob("*.js"):
        name = path.relative_to(STATIC / "js").as_posix()
        assert script.count(f"modules['{name}'] = ") == 1, name
        if name != "main.js":
            assert script.index(f"modules['{name}'] = ") < script.index(f"= modules['{name}'];"), name


def test_names_are_bound_as_they_were_imported(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { one, two as three } from "./b.js";\none(three);\n')
    (tmp_path / "b.js").write_text("export const two = 2;\nexport async function one() {}\n")
    script = joined_modules(tmp_path, "a.js")
    assert "const { one, two: three } = modules['b.js'];" in script
    assert "return { two, one };" in script


@pytest.mark.parametrize(
    "source", ['import x from "./b.js";\n', "export default 1;\n", 'import { a } from "./a.js";\n'],
    ids=["default-import", "default-export", "cycle"],
)  # fmt: skip
def test_what_cannot_be_joined_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.js").write_text(source)
    with pytest.raises(ValueError, match=r"a\.js"):
        joined_modules(tmp_path, "a.js")


def test_every_sheet_of_the_page_is_in_one() -> None:
    sheet = joined_sheets()
    assert len(sheet) == sum(len(path.read_text()) for path in (STATIC / "css").iterdir())


def test_no_text_of_a_rollout_can_end_the_element_that_holds_the_data(tmp_path: Path) -> None:
    paths = write_collection(tmp_path / "r.jsonl", tasks=2)
    paths.rollouts.write_bytes(paths.rollouts.read_bytes().replace(b"I booked", b"</script><script>"))
    assert write_report(tmp_path / "report.html", Exported(paths.rollouts, limit=10)) > 0
    report = (tmp_path / "report.html").read_text()
    assert report.count("<script") == report.count("</script>") == 3
    assert "\\u003c/script>" in report

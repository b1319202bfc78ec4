"""The seeded faults can be made: a restructuring takes them along, which else shows only in a long run."""

import math
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from scripts.faults import AT_MOST, OTHERS, ROOT, TABLE, Fault, History, draw_sample, read_faults
from scripts.mutate import find_problem

TEXT = (ROOT / TABLE).read_text(encoding="utf-8")
FAULTS = read_faults(TEXT)


def _failing(holds: Callable[[Fault], bool]) -> list[str]:
    return [fault.name for fault in FAULTS if not holds(fault)]


def test_each_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_text_that_each_exchanges_stands_once() -> None:
    assert not _failing(lambda fault: (ROOT / fault.file).read_text().count(fault.old) == 1)


def test_the_tests_that_each_names_are_there() -> None:
    def there(named: str) -> bool:
        path, _, function = named.partition("::")
        return bool(re.search(rf"^(async )?def {function}\(", _read(ROOT / path), re.MULTILINE))

    assert not _failing(lambda fault: all(map(there, fault.tests)))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_tests_that_do_not_end_have_noticed(tmp_path: Path) -> None:
    """It waits for as long as the tests may take."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "product.py").write_text("WAITS = 0\n")
    test = "import product, time\ndef test_{0}(): time.sleep({1}product.WAITS)\n"
    (tmp_path / "tests/test_it.py").write_text(
        test.format("ends", "0 *") + test.format("waits", "")
    )

    def problem(name: str, timeout_s: float) -> str:
        (tmp_path / "product.py").write_text("WAITS = 0\n")
        made = Fault(name, "", "product.py", "= 0", "= 600", [f"tests/test_it.py::test_{name}"])
        return find_problem(made, tmp_path, {}, timeout_s)

    assert problem("waits", 3) == ""
    assert problem("ends", 120) == "not noticed by tests/test_it.py::test_ends"


def _sample(
    changed: set[str],
    *,
    commit: str = "0" * 40,
    before: str = TEXT,
    among: Sequence[Fault] = FAULTS,
) -> set[str]:
    faults, _ = draw_sample(among, History(commit, frozenset(changed), before))
    return {fault.name for fault in faults}


def test_each_has_its_turn_in_a_part_of_the_commits() -> None:
    commits = range(math.ceil(len(FAULTS) / OTHERS))
    parts = [_sample(set(), commit=f"{n:08x}") for n in commits]
    assert set.union(*parts) == {fault.name for fault in FAULTS}
    assert sum(map(len, parts)) == len(FAULTS)
    assert max(map(len, parts)) <= OTHERS


def test_what_was_changed_is_tried_at_once() -> None:
    fault = next(each for each in FAULTS if each.tests[0].startswith("tests/acceptance/"))
    file = fault.tests[0].partition("::")[0]
    # Beside so many others that it has no turn with one commit of two.
    others = (each for each in FAULTS if each.tests[0].startswith("tests/unit/"))
    among = [fault, *islice(others, OTHERS)]
    turn = next(
        c
        for c in ("0" * 8, "0" * 7 + "1")
        if fault.name not in _sample(set(), commit=c, among=among)
    )
    for changed in (
        fault.file,
        file,
        "tests/conftest.py",
        "tests/acceptance/conftest.py",
        "tests/support/command.py",
    ):
        assert fault.name in _sample({changed}, commit=turn, among=among), changed
    assert fault.name not in _sample(
        {"tests/peers/conftest.py", "README.md"}, commit=turn, among=among
    )
    assert fault.name in _sample(
        set(), commit=turn, before=TEXT.replace(f'"{fault.name}"', '"x"'), among=among
    )


def test_after_a_change_of_everything_a_sample_is_tried_the_nearest_first() -> None:
    fault = FAULTS[-1]
    everything = {file for each in FAULTS for file in (each.file, "tests/conftest.py")}
    tried = _sample(everything, before=TEXT.replace(f'"{fault.name}"', '"x"'))
    assert fault.name in tried
    assert AT_MOST < len(tried) <= AT_MOST + OTHERS

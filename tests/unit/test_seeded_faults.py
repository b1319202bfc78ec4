"""The seeded faults can be made: a restructuring takes them along, which else shows only in a long run."""

import re
from collections.abc import Callable
from pathlib import Path

from scripts.mutate import ROOT, Fault, read_faults

FAULTS = read_faults(ROOT / "tests/mutations/faults.toml")


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

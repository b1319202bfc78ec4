"""Long loops in parts: together they are the whole, and where the code changed it is the whole at once."""

from scripts.faults import History
from tests.support.parts import PARTS, Part, choose_part

CODE = ("mahavishnu/ai/",)


def history(commit: int, *changed: str) -> History:
    return History(f"{commit:08x}", frozenset(changed), "")


def test_each_step_has_its_turn() -> None:
    parts = [choose_part(history(commit), CODE) for commit in range(PARTS)]
    assert sorted(step for part in parts for step in part.steps(50)) == [*range(1, 50)]
    assert sum(part.share(1000) for part in parts) == 1000


def test_what_changed_is_tried_whole() -> None:
    assert choose_part(history(2, "mahavishnu/ai/switching/plan.py"), CODE) == Part()
    assert choose_part(history(2, "mahavishnu/memory/store.py"), CODE) == Part(2, PARTS)

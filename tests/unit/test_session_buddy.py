"""What Session-Buddy is started with."""

from pathlib import Path

from mahavishnu.services.session_buddy.unit import session_buddy_unit


def test_data_of_the_user_is_copied_unless_it_is_to_be_written_in_place() -> None:
    def words(*, in_place: bool) -> tuple[str, ...]:
        home, data = Path("/data/session-buddy"), Path("/home/user/.claude/data")
        unit = session_buddy_unit("python", home=home, port=8679, data_dir=data, in_place=in_place)
        return unit.command[-2:]

    assert words(in_place=False) == ("--copy", "/home/user/.claude/data")
    assert words(in_place=True) == ("--data", "/home/user/.claude/data")

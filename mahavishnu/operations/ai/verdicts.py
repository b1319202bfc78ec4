"""What the verdicts on providers mean, and the exit codes of those."""

from collections.abc import Sequence

from mahavishnu.ai.switching.answers import AnswerVerdict
from mahavishnu.operations.ai.results import TrialBody

# Of each verdict the exit code, as the errors of the same kind have it, and what it means.
VERDICTS: dict[AnswerVerdict, tuple[int, str]] = {
    "ok": (0, "It answers."),
    "auth": (6, "The key is not accepted, or may not do this."),
    "quota": (5, "The key is accepted, and its quota is used up."),
    "overload": (5, "The provider has too much to do; try again later."),
    "not_found": (3, "There is no such model or address."),
    "unreachable": (5, "Nobody answers."),
    "tls": (6, "Who answers cannot prove to be that host; nothing was sent."),
    "unexpected": (1, "It answers in another way than it should."),
    "untried": (2, "Nothing was asked."),
}


def worst(trials: Sequence[TrialBody]) -> int:
    """Return the exit code of the worst; 0 where all answer."""
    codes = {verdict: code for verdict, (code, _) in VERDICTS.items()}
    return max((codes[each.verdict] for each in trials), default=0)

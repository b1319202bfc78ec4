"""What looks like a key in a text, told by its shape: in a command, an address, or alone."""

import re
from collections.abc import Iterator

type Span = tuple[int, int]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"|;&()<>]+")
# As keys of many services begin.
_BEGINNINGS = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)-[\w-]{8,}|(?:sk|pk|rk|ak|tp|ms)-(?=[^\s'\"]*\d)[\w/+=-]{12,}|gh[opusr]_\w{8,}|github_pat_\w{8,}"
    r"|glpat-[\w-]{8,}|xox[a-z]-[\w-]{8,}|AKIA[A-Z0-9]{12,}|AIza[\w-]{20,}|hf_\w{8,}"
    r"|eyJ[\w-]{8,}(?:\.[\w-]*){0,2})"
)
_BEARER = re.compile(r"(?i:\bbearer\s+)[^\s'\"]{8,}")
# Long, without a seam that words have: hexadecimal or base-62, a UUID, URL-safe base-64, base-64.
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{32,}"
    r"|(?=[^\s.]*\d)(?=[^\s.]*[a-z])(?=[^\s.]*[A-Z])[\w+/-]{40,}={0,2}"
    r")(?![A-Za-z0-9])",
    re.ASCII,
)
_PATH = re.compile(r"[~.$]*/|\$")
# A text that stands there itself: no variable, no output of a command, no path, no reference.
_LITERAL = r"(?!-)(?![\"']?+(?:[$`~./]|\w+:|[\"']|$))[\"']?(?P<key>[^\s\"']+)"
_PRINTS = re.compile(r"(?:^|[|;&(\s/])(?:echo|printf)\s+(?![^|;&]*[$`])\S")
_NAMED = (
    re.compile(
        rf"(?:^|[\s;&(])(?:[a-z0-9]+_)*(?:key|apikey|token|secret|password|passwd|pass|pwd)={_LITERAL}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\s--?(?:api-?key|(?:auth-)?token|password|passwd)[=\s]+{_LITERAL}", re.IGNORECASE
    ),
    re.compile(r"\s(?:-\w*u|--user)[=\s]*[\"']?[\w.@-]+:(?P<key>(?![$/])[^\s\"']+)", re.IGNORECASE),
    re.compile(
        r"(?:^|[\"'])\s*(?:[\w-]*[_-])?"
        r"(?:authorization|cookie|(?:api)?key|token|secret|auth|password|credentials?)"
        r"\s*:\s*(?P<key>[^\s\"'$][^\"'\n]*)",
        re.IGNORECASE | re.MULTILINE,
    ),
)


def find_keys(text: str) -> list[Span]:
    """
    Return where keys stand in a text, in order: what looks like one, and what is given as one.

    Of addresses name, password and query count too.
    """
    found: list[Span] = [match.span() for match in _BEARER.finditer(text)]
    found += [match.span("key") for each in _NAMED for match in each.finditer(text)]
    for match in _WORD.finditer(text):
        inside = _in_word(match[0])
        found += [(match.start() + begin, match.start() + end) for begin, end in inside]
    return _joined(found)


def prints_key(command: str) -> bool:
    """Tell whether a command prints a text that stands in it: where a key is asked for, that is one."""
    return _PRINTS.search(command) is not None


def _in_word(word: str) -> Iterator[Span]:
    address = _URL.search(word)
    if address is not None:
        yield from _in_address(address[0], address.start())
        return
    is_path = _PATH.match(word) is not None
    for match in _BEGINNINGS.finditer(word):
        if not is_path or any(map(str.isdecimal, match[0])):
            yield match.span()
    if not is_path:
        yield from (match.span() for match in _RANDOM.finditer(word))


def _in_address(url: str, start: int) -> Iterator[Span]:
    scheme = start + url.index("://") + 3
    host = start + url.rfind("@")
    if host > scheme:
        yield scheme, host
    query = url.find("?")
    if query >= 0 and len(url) > query + 1:
        yield start + query + 1, start + len(url)
    for segment in re.finditer(r"(?<=/)[^/?@]+", url.partition("?")[0]):
        for shape in (_BEGINNINGS, _RANDOM):
            for match in shape.finditer(segment[0]):
                begin = start + segment.start()
                yield begin + match.start(), begin + match.end()


def _joined(spans: list[Span]) -> list[Span]:
    """Return the spans in order, those that touch as one."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined

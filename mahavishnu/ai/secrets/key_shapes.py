"""What looks like a key in a text, told by its shape: in a command, an address, or alone."""

import re
from collections.abc import Iterator

type KeySpan = tuple[int, int]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"|;&()<>]+")
# As keys of many services begin.
_BEGINNINGS = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-ant-[\w-]{8,}|(?:sk|pk|rk|ak|tp|ms)-(?=[^\s'\"]*\d)[\w/+=-]{8,}|gh[opusr]_\w{8,}"
    r"|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[a-z]-[\w-]{8,}|AKIA[A-Z0-9]{12,}|AIza[\w-]{20,}|hf_\w{8,}"
    r"|eyJ[\w-]{8,}(?:\.[\w-]*){0,2})"
)
_BEARER = re.compile(r"(?i:\bbearer\s+)[^\s'\"]{8,}")
# Long, in capitals and small letters, or with a part that is long itself: words with seams are a name.
# What is secret of a key may stand behind a dot.
_RANDOM = re.compile(
    r"(?<!\w)(?:(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{32,}"
    r"|(?=\w*(?<![A-Za-z0-9])(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{16,})\w{32,}"
    r"|(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{32,})(?!\w)(?:\.[\w-]{8,})*",
    re.ASCII,
)
_LONG = re.compile(r"[A-Za-z0-9]{16,}")
_PATH = re.compile(r"[~.$]*/|\$")
# A literal text: no variable, no output of a command, no path, no reference; and no plain word.
_LITERAL = (
    r"(?!-)(?![\"']?+(?:[$%`~./]|\w+:|[\"']|$))[\"']?(?P<key>(?=[^\s\"']*\d|[^\s\"']{12})[^\s\"']+)"
)
_PRINTS = re.compile(
    r"(?:^|[|;&(\s/\"'])(?:echo|printf)\s+(?![^|;&]*[$`%])\S|\bprintf\s+[\"']?%s(?:\\n)?[\"']?\s+[^\s$`\"']"
)
_TELLING = r"(?:key|token|secret|password|passwd|passphrase|pass|pwd)"
_NAMED = (
    re.compile(rf"(?:^|[\s;&(])\w*{_TELLING}={_LITERAL}", re.IGNORECASE),
    re.compile(
        rf"\s--?(?:[a-z]+-)*(?:api-?key|token|secret|password|passwd)[=\s]+{_LITERAL}",
        re.IGNORECASE,
    ),
    re.compile(r"\s(?:-\w*u|--user)[=\s]*[\"']?[\w.@-]+:(?P<key>(?![$/])[^\s\"']+)", re.IGNORECASE),
    re.compile(
        r"(?:^|[\"'])[^\S\n]*(?:[\w-]*-)?(?:authorization|cookie)\s*:\s*(?P<key>[^\s\"'$][^\"'\n]*)",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(
        rf"(?:^|[\"'])[^\S\n]*[\w-]*(?:{_TELLING}|auth|credentials?|signature)\s*:\s*"
        r"(?P<key>(?=[^\"'\n]*\d|[^\s\"']{12})[^\s\"'$][^\"'\n]*)",
        re.IGNORECASE | re.MULTILINE,
    ),
)
# Where the name of an entry stands, as `gcloud secrets versions access 1 --secret=NAME` has it.
_ENTRY = re.compile(
    r"\b(?:gcloud\s+secrets\s[^|;&]*\s--secret|(?:lpass|gopass)\s+show\s(?:[^|;&]*\s)?--password)"
    r"[=\s]+[\"']?$"
)
# Before the host; what is behind an @ of the path is a version.
_USER = re.compile(r"[^/?#]*@|[^/?#:]*:(?!\d*(?:[/?#]|$))")
_PARAMETER = re.compile(
    r"[?&#/][\w-]*(?:key|token|secret|sig|signature|auth|password|code)=([^&#]+)", re.IGNORECASE
)


def find_keys(text: str) -> list[KeySpan]:
    """
    Return where a text contains keys, in order: what looks like one, and what is given as one.

    Of addresses name and password count too, and parameters of a telling name or value.
    """
    found: list[KeySpan] = [match.span() for match in _BEARER.finditer(text)]
    named = (match.span("key") for each in _NAMED for match in each.finditer(text))
    found += [span for span in named if not _ENTRY.search(text, 0, span[0])]
    for match in _URL.finditer(text):
        found += _in_address(match[0], match.start())
    for match in _WORD.finditer(text):
        if "://" not in match[0]:
            found += _in_word(match[0], match.start())
    return _joined(found)


def prints_key(command: str) -> bool:
    """Tell whether a command prints a text that it contains: where a key is asked for, that is one."""
    return _PRINTS.search(command) is not None


def _in_word(word: str, start: int) -> Iterator[KeySpan]:
    is_path = _PATH.match(word) is not None
    for shape in (_BEGINNINGS,) if is_path else (_BEGINNINGS, _RANDOM):
        for match in shape.finditer(word):
            # The name of a folder or program may begin as a key does.
            if not is_path or _LONG.search(match[0]):
                yield start + match.start(), start + match.end()


def _in_address(url: str, start: int) -> Iterator[KeySpan]:
    """Yield name and password, telling parameters, and what begins as a key; an id in the path is none."""
    scheme = start + url.index("://") + 3
    host = start + url.rfind("@")
    if host > scheme and _USER.match(url, scheme - start):
        yield scheme, host
    for match in _PARAMETER.finditer(url):
        yield start + match.start(1), start + match.end(1)
    for match in (*_BEGINNINGS.finditer(url), *_RANDOM.finditer(url, _query(url))):
        yield start + match.start(), start + match.end()


def _query(url: str) -> int:
    """Return where the parameters begin."""
    return min((place for sign in "?#" if (place := url.find(sign)) >= 0), default=len(url))


def _joined(spans: list[KeySpan]) -> list[KeySpan]:
    """Return the spans in order, those that touch as one."""
    joined: list[KeySpan] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined

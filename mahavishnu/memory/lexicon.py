"""
Text to index terms: words, split identifiers, stop words dropped, stemmed.

Pure. The same function serves what is stored and what is asked, but for single characters of scripts
without spaces, which are stored only. A change needs the postings to be built again.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

import Stemmer

MAX_TERM_LENGTH = 64  # characters; longer ones (encoded blobs) keep their beginning
MAX_TERMS = 20_000  # distinct terms of one memory that are indexed, the most frequent first
MAX_COUNT = 32_767  # frequencies and lengths are stored as smallint

# Lucene's English list and the function words of questions and chat: they carry no topic, and each
# would otherwise drag half of the index into a query.
STOP_WORDS = frozenset(
    (
        "a an and are as at be but by for if in into is it no not of on or such that the their then "
        "there these they this to was will with i me my myself we our ours ourselves you your yours "
        "yourself yourselves he him his himself she her hers herself its itself them theirs "
        "themselves what which who whom those am were been being have has had having do does did "
        "doing because until while about against between through during before after above below "
        "from up down out off over under again further once here when where why how all any both "
        "each few more most other some nor only own same so than too very s t can just don should "
        "now d ll m o re ve y ain aren couldn didn doesn hadn hasn haven isn ma mightn mustn needn "
        "shan shouldn wasn weren won wouldn would could im also get got like really oh hey wow thanks"
    ).split(" ")
)

# Letters and digits, with the marks that belong to them: accents, and the vowel signs of Indic scripts.
_LETTERS = r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0963\u0966-\u0dff])+"
_WORD = re.compile(rf"{_LETTERS}(?:_+{_LETTERS})*")
_SEAM = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_POSSESSIVE = re.compile(r"['’]s\b")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
# Of these, what can be a word by itself: Chinese characters and Korean syllables.
_WORD_OF_ONE = re.compile(r"[\u3400-\u9fff\uac00-\ud7af]")

_stem = Stemmer.Stemmer("english")


def count_terms(text: str) -> tuple[dict[str, int], int]:
    """
    Return (term -> how often it occurs, number of terms in all), both capped at `MAX_COUNT`.

    At most `MAX_TERMS` terms are returned. `getUserName` counts as get, user, name and as itself.
    Inside Chinese and Korean each character counts besides the pairs, so that a question of one
    character finds it; these do not add to the length.
    """
    words = split_terms(text)
    counts = Counter(words)
    if not text.isascii():
        for run in _UNSPACED.findall(unicodedata.normalize("NFC", text)):
            if len(run) > 1:
                counts.update(_WORD_OF_ONE.findall(run))
    if len(counts) > MAX_TERMS:
        counts = Counter(dict(counts.most_common(MAX_TERMS)))
    capped = {term: min(count, MAX_COUNT) for term, count in counts.items()}
    return capped, min(len(words), MAX_COUNT)


def split_query(text: str) -> list[str]:
    """Return the distinct terms of a question, in order of first occurrence."""
    return list(dict.fromkeys(split_terms(text)))


def split_terms(text: str) -> list[str]:
    """Return every term of `text` in order, repeats included; stop words are gone."""
    plain: list[str] = []
    whole: list[str] = []
    if not text.isascii():
        text = _UNSPACED.sub(r" \g<0> ", unicodedata.normalize("NFC", text))
    for word in _WORD.findall(_POSSESSIVE.sub(" ", text)):
        if not word.isascii() and _UNSPACED.match(word):
            plain += _stem.stemWords(_pairs(word))
            continue
        parts, joined = _terms_of(word)
        plain += parts
        whole += joined
    return plain + whole


@lru_cache(1 << 13)  # most words of a text were in others before; half a kilobyte each
def _terms_of(word: str) -> tuple[list[str], list[str]]:
    """Return the terms of a word's parts, and that of the word itself where it has several parts."""
    parts = [word] if word.islower() and "_" not in word else _SEAM.split(word)
    whole = ["".join(parts).lower()[:MAX_TERM_LENGTH]] if len(parts) > 1 else []
    lowered = (part.lower() for part in parts)
    plain = [part[:MAX_TERM_LENGTH] for part in lowered if part not in STOP_WORDS]
    return _stem.stemWords(plain), _stem.stemWords(whole)


def _pairs(word: str) -> list[str]:
    """Split a run of a script without spaces (Chinese, Japanese, Thai, Korean) into character pairs."""
    if len(word) < 2:
        return [word]
    return [word[i : i + 2] for i in range(len(word) - 1)]

"""Hypothesis strategies that several test modules share."""

from hypothesis import strategies as st

from mahavishnu.memory.models import COLLECTIONS

# Anything that `str` can hold, lone surrogates included.
any_text = st.lists(
    st.text(max_size=40) | st.sampled_from(["\ud800", "a\udfff", "\0", "\r\n", " ", "\x1b[31m"]),
    max_size=10,
).map("".join)
# What UTF-8 and PostgreSQL can hold.
storable_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# Text as people and programs write it: identifiers, prose, scripts without spaces, symbols.
mixed_text = st.lists(
    st.sampled_from(
        ["the", "getUserName", "HTTPServer", "snake_case_name", "日本語のテキスト", "naïve", "ÉCOLE",
         "v2", "utf8Decode", "don't", "__init__", "a" * 200, "42", "--", "\n", "🙂", "สวัสดี", "ß"]
    )
    | st.text(max_size=12),
    max_size=30,
).map(" ".join)  # fmt: skip

collections = st.sampled_from(COLLECTIONS)
# Cosines and BM25 scores on a grid, so that a test meets ties and equal ranges often.
cosines = st.integers(-64, 64).map(lambda n: n / 64)
bm25_scores = st.integers(1, 512).map(lambda n: n / 16)

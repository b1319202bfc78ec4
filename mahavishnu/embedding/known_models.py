"""
Facts about well-known embedding models: prefixes, dimensions, window, pooling; pinned downloads.

Prefixes and pooling are those of the models' own cards. A model that is not listed here gets no
prefix, and its dimensions are asked from its provider.
"""

from dataclasses import dataclass
from typing import Literal

type Pooling = Literal["mean", "cls", "last"]

# The widest text that is ever embedded at once: Ollama caps nomic-embed-text here although ONNX
# takes 8192, and both must give the same vector for the same text.
MAX_WINDOW_TOKENS = 2048

_SEARCHING = "Represent this sentence for searching relevant passages: "
_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)


@dataclass(frozen=True)
class KnownModel:
    """One family member. `dimensions` None: sizes differ under this name, ask the provider."""

    dimensions: int | None
    window_tokens: int
    document_prefix: str = ""
    query_prefix: str = ""
    pooling: Pooling = "mean"


# By the start of the name's last component, lower case; the longest match wins.
_MODELS: dict[str, KnownModel] = {
    "nomic-embed-text": KnownModel(768, 2048, "search_document: ", "search_query: "),
    "nomic-embed-text-v2": KnownModel(768, 512, "search_document: ", "search_query: "),
    "all-minilm": KnownModel(384, 256),
    "all-mpnet-base-v2": KnownModel(768, 384),
    "mxbai-embed-large": KnownModel(1024, 512, "", _SEARCHING, "cls"),
    "bge-small-en": KnownModel(384, 512, "", _SEARCHING, "cls"),
    "bge-base-en": KnownModel(768, 512, "", _SEARCHING, "cls"),
    "bge-large": KnownModel(1024, 512, "", _SEARCHING, "cls"),
    "bge-large-zh": KnownModel(1024, 512, "", "为这个句子生成表示以用于检索相关文章：", "cls"),
    "bge-m3": KnownModel(1024, 8192, pooling="cls"),
    "e5-small": KnownModel(384, 512, "passage: ", "query: "),
    "e5-base": KnownModel(768, 512, "passage: ", "query: "),
    "e5-large": KnownModel(1024, 512, "passage: ", "query: "),
    "multilingual-e5-small": KnownModel(384, 512, "passage: ", "query: "),
    "multilingual-e5-base": KnownModel(768, 512, "passage: ", "query: "),
    "multilingual-e5-large": KnownModel(1024, 512, "passage: ", "query: "),
    "multilingual-e5-large-instruct": KnownModel(1024, 512, "", _INSTRUCT + " "),
    "embeddinggemma": KnownModel(
        768, 2048, "title: none | text: ", "task: search result | query: "
    ),
    "snowflake-arctic-embed": KnownModel(None, 512, "", _SEARCHING, "cls"),
    "snowflake-arctic-embed2": KnownModel(1024, 8192, "", "query: ", "cls"),
    "snowflake-arctic-embed-l-v2": KnownModel(1024, 8192, "", "query: ", "cls"),
    "snowflake-arctic-embed-m-v2": KnownModel(768, 8192, "", "query: ", "cls"),
    "qwen3-embedding": KnownModel(None, 8192, "", _INSTRUCT, "last"),
    "granite-embedding": KnownModel(None, 512, pooling="cls"),
    "text-embedding-3-small": KnownModel(1536, 8191),
    "text-embedding-3-large": KnownModel(3072, 8191),
    "text-embedding-ada-002": KnownModel(1536, 8191),
}


def find_known(name: str) -> KnownModel | None:
    """Return the facts about the model called `name` anywhere (tag and owner ignored), or None."""
    base = name.lower().rsplit("/", 1)[-1].split(":", 1)[0]
    matches = [m for m in _MODELS if base == m or base.startswith((m + "-", m + "."))]
    return _MODELS[max(matches, key=len)] if matches else None


@dataclass(frozen=True)
class PinnedFile:
    """One file of a pinned download; `size_bytes` is for the progress bar."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class PinnedDownload:
    """A model on the Hugging Face hub at one commit, each file with its digest."""

    name: str
    repository: str
    revision: str
    files: tuple[PinnedFile, ...]
    aliases: tuple[str, ...] = ()


DEFAULT_LOCAL_MODEL = "nomic-ai/nomic-embed-text-v1.5"
DEFAULT_OLLAMA_MODEL = "nomic-embed-text"
DEFAULT_OPENAI_MODEL = "text-embedding-3-small"

DOWNLOADS: tuple[PinnedDownload, ...] = (
    PinnedDownload(
        name=DEFAULT_LOCAL_MODEL,
        repository="nomic-ai/nomic-embed-text-v1.5",
        revision="e5cf08aadaa33385f5990def41f7a23405aec398",
        files=(
            PinnedFile(
                "config.json",
                "0168e0883705b0bf8f2b381e10f45a9f3e1ef4b13869b43c160e4c8a70ddf442",
                2_331,
            ),
            PinnedFile(
                "special_tokens_map.json",
                "5d5b662e421ea9fac075174bb0688ee0d9431699900b90662acd44b2a350503a",
                695,
            ),
            PinnedFile(
                "tokenizer_config.json",
                "d7e0000bcc80134debd2222220427e6bf5fa20a669f40a0d0d1409cc18e0a9bc",
                1_191,
            ),
            PinnedFile(
                "tokenizer.json",
                "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
                711_396,
            ),
            PinnedFile(
                "onnx/model.onnx",
                "147d5aa88c2101237358e17796cf3a227cead1ec304ec34b465bb08e9d952965",
                547_310_275,
            ),
        ),
        aliases=("nomic-embed-text", "nomic-embed-text-v1.5", "nomic-embed-text:v1.5"),
    ),
)


def find_download(name: str) -> PinnedDownload | None:
    """Return the pinned download called `name` or by one of its aliases, or None."""
    wanted = name.lower().removesuffix(":latest")
    for download in DOWNLOADS:
        if wanted in (download.name.lower(), *download.aliases):
            return download
    return None

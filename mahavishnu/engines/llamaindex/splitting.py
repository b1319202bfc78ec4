"""
Split files by LlamaIndex's node parsers: code by syntax, Markdown by heading, other text by sentence.

Nothing but blanks is lost between two chunks. Each knows its lines and its definitions or heading.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter
from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode

from mahavishnu.engines.llamaindex.syntax import Symbol, find_symbols, symbols_between

LANGUAGE = "language"
CHARACTERS_OF_TOKEN = 3  # a cautious guess: 3.2 of code, 4.5 of English
LITTLE = 80  # characters; what has fewer is joined with what follows it
_MAX_SYMBOLS = 20
_MAX_HEADINGS = 2_000  # of a document that people wrote
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")

type Extent = tuple[int, int]
type Describe = Callable[[int, int], dict[str, Any]]  # lines -> what is in them


def guess_tokens(text: str) -> Sequence[int]:
    """Return something as long as a model's tokens of a text would be; no tokenizer is asked."""
    return range(-(-len(text) // CHARACTERS_OF_TOKEN))


class SourceSplitter(NodeParser):
    """
    Splits documents by what their metadata name as `language`; `id_func` names the chunks.

    No chunk has more than `chunk_tokens`; those of text begin with up to `overlap_tokens` of the one before.
    """

    chunk_tokens: int
    overlap_tokens: int
    _sentences: SentenceSplitter = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._sentences = SentenceSplitter(
            chunk_size=self.chunk_tokens - self.overlap_tokens,
            chunk_overlap=0,  # made here, where the places in the text are known
            tokenizer=guess_tokens,
            chunking_tokenizer_fn=_sentences_of,  # nltk's own refuses data files that are hard links
        )

    async def acall(self, nodes: Sequence[BaseNode], **_: Any) -> list[BaseNode]:
        """Split in a thread: the event loop has others to answer."""
        return await asyncio.to_thread(self.__call__, nodes)

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: ARG002
        **_: Any,
    ) -> list[BaseNode]:
        return [chunk for node in nodes for chunk in self._split(node)]

    def _postprocess_parsed_nodes(
        self,
        nodes: list[BaseNode],
        parent_doc_map: dict[str, Document],  # noqa: ARG002
    ) -> list[BaseNode]:
        return nodes  # it would look for each text again, and find another place of the same text

    def _split(self, document: BaseNode) -> list[BaseNode]:
        text = document.get_content(metadata_mode=MetadataMode.NONE)
        spans, describe = self._spans(text, document.metadata.get(LANGUAGE, "text"))
        splits = [text[start:end] for start, end in spans]
        chunks = build_nodes_from_splits(splits, document, id_func=self.id_func)
        starts = _line_starts(text)
        for chunk, (start, end) in zip(chunks, spans, strict=True):
            first, last = bisect_right(starts, start), bisect_right(starts, end - 1)
            lines = {"start_line": first, "end_line": last}
            chunk.metadata = document.metadata | lines | describe(first, last)
            chunk.start_char_idx, chunk.end_char_idx = start, end
        return list(chunks)

    def _spans(self, text: str, language: str) -> tuple[list[Extent], Describe]:
        """Return where chunks begin and end, and what names the definition of a line."""
        if language == "markdown" and len(headings := _headings(text)) <= _MAX_HEADINGS:
            parser = MarkdownNodeParser(include_prev_next_rel=False)
            sections = [node.text for node in parser.get_nodes_from_node(TextNode(text=text))]
            return self._bounded(text, cover(text, locate(text, sections))), _by_heading(headings)
        symbols = find_symbols(text, language)
        if symbols is not None:
            parts = definitions(text, symbols)
            return self._bounded(text, self._joined(text, parts)), _by_symbols(symbols)
        return self._bounded(text, cover(text, [])), _nothing

    def _bounded(self, text: str, spans: Sequence[Extent]) -> list[Extent]:
        """Split what is too long by sentences, each but the first with the end of the one before."""
        found = []
        for start, end in spans:
            if self._fits(text, start, end):
                found.append((start, end))
                continue
            inner = locate(text[start:end], self._sentences.split_text(text[start:end]))
            for number, (first, last) in enumerate(inner):
                begin = start + first
                if number:
                    overlap = self.overlap_tokens * CHARACTERS_OF_TOKEN
                    begin = _earlier(text, begin, at_least=max(start, begin - overlap))
                found.append((begin, start + last))
        return found

    def _joined(self, text: str, spans: Sequence[Extent]) -> list[Extent]:
        """Join what is little with what follows: the head of a class, its closing bracket, fields."""
        found: list[Extent] = []
        for start, end in spans:
            is_little = found and min(found[-1][1] - found[-1][0], end - start) < LITTLE
            if is_little and self._fits(text, found[-1][0], end):
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return found

    def _fits(self, text: str, start: int, end: int) -> bool:
        return len(guess_tokens(text[start:end])) <= self.chunk_tokens


def definitions(text: str, symbols: Sequence[Symbol]) -> list[Extent]:
    """
    Return the lines of each definition, and those between them; what a function holds is part of it.

    A class gives a span for its head and one for each method. Lines right above a definition, as
    comments and decorators are, belong to it.
    """
    starts = [*_line_starts(text), len(text) + 1]
    lines = text.split("\n")
    owners = [-1] * len(lines)  # by line, the innermost definition that it is of
    inside = 0  # the last line of the function that the walk is in
    for number, each in enumerate(symbols):
        if each.end_line <= inside:
            continue
        around, first = owners[each.start_line - 1], each.start_line - 1
        while first > 0 and lines[first - 1].strip() and owners[first - 1] == around:
            if around >= 0 and first == symbols[around].start_line:
                break
            first -= 1
        owners[first : each.end_line] = [number] * (each.end_line - first)
        inside = each.end_line if each.is_function else inside
    found = []
    for _, run in groupby(range(len(lines)), key=owners.__getitem__):
        numbers = [number for number in run if lines[number].strip()]
        if numbers:
            found.append((starts[numbers[0]], starts[numbers[-1] + 1] - 1))
    return found


def locate(text: str, pieces: Sequence[str]) -> list[Extent]:
    """Return where pieces are that follow each other in a text; raises `ValueError` where one is not."""
    spans = []
    after = 0
    for piece in pieces:
        if piece.strip():
            start = text.index(piece, after)
            after = start + len(piece)
            spans.append((start, after))
    return spans


def cover(text: str, spans: Sequence[Extent]) -> list[Extent]:
    """Return spans with others between them, so that nothing but blanks is in none of them."""
    found: list[Extent] = []
    after = 0
    for start, end in [*spans, (len(text), len(text))]:
        between = text[after:start]
        if between.strip():
            lead = len(between) - len(between.lstrip())
            found.append((after + lead, after + len(between.rstrip())))
        if end > start:
            found.append((start, end))
        after = end
    return found


def _earlier(text: str, place: int, *, at_least: int) -> int:
    """Return the earliest beginning of a line or sentence from `at_least` up to `place`, or `place`."""
    match = re.search(r"(?<=\n)\S|(?<=[.!?] )\S", text[at_least:place])
    return at_least + match.start() if match else place


def _sentences_of(text: str) -> list[str]:
    """Split at line ends and after sentences, keeping every character."""
    return [piece for piece in re.split(r"(?<=\n)|(?<=[.!?] )", text) if piece]


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _headings(text: str) -> list[tuple[int, str]]:
    """Return the line of each heading, and it with those above."""
    found: list[tuple[int, str]] = []
    above: list[tuple[int, str]] = []
    fenced = ""
    for number, line in enumerate(text.split("\n"), start=1):
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~") and fenced in ("", mark):
            fenced = "" if fenced else mark
        match = None if fenced else _HEADING.match(line)
        if match:
            above = [each for each in above if each[0] < len(match[1])]
            above.append((len(match[1]), match[2]))
            found.append((number, " > ".join(title for _, title in above)))
    return found


def _by_heading(headings: Sequence[tuple[int, str]]) -> Describe:
    def describe(first: int, _last: int) -> dict[str, Any]:
        place = bisect_right(headings, first, key=lambda each: each[0])
        return {"heading": headings[place - 1][1]} if place else {}

    return describe


def _by_symbols(symbols: Sequence[Symbol]) -> Describe:
    def describe(first: int, last: int) -> dict[str, Any]:
        names = symbols_between(symbols, first, last)[:_MAX_SYMBOLS]
        return {"symbols": names} if names else {}

    return describe


def _nothing(_first: int, _last: int) -> dict[str, Any]:
    return {}

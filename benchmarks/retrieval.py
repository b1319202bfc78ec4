"""Does it find what answers? Conversations (LoCoMo) and code (CoSQA), through the product itself."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bm25 import Bm25
from benchmarks.datasets import Conversation, Question, load_cosqa, load_locomo
from benchmarks.evaluation import Scores, bootstrap_gain, choose_share, mean, score
from benchmarks.report import Section, least
from benchmarks.world import open_product
from mahavishnu.app import App
from mahavishnu.embedding.model_import import import_model
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import Hit, MemoryFilter, Mode, NewMemory
from mahavishnu.memory.ranking import WEIGHTS
from mahavishnu.memory.search import SearchRequest
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

CANDIDATES = 200
SHOWN = 20
ASKED_BY_USERS = f"hybrid, limit {SHOWN}"
ASKED: tuple[tuple[str, Mode, int], ...] = (
    ("text", "text", CANDIDATES),
    ("vector", "vector", CANDIDATES),
    ("hybrid", "hybrid", CANDIDATES),
    (ASKED_BY_USERS, "hybrid", SHOWN),
)
ARM_GOALS = {"text": 0.62, "vector": 0.50}
HYBRID_GOAL = 0.70
GAIN_GOAL = 0.03
CODE_TOLERANCE = 0.01
BATCH = 256


@dataclass(frozen=True)
class Asked:
    """
    A question with what the product answered.

    `rankings` are keys, best first, by the name of the retriever; `contributions` those of the text
    and the vector arm to each candidate of the hybrid answer, None where the arm did not take part.
    """

    group: str
    question: Question
    rankings: Mapping[str, list[str]]
    contributions: Mapping[str, tuple[float | None, float | None]]
    same_arms: bool

    def scores(self, ranking: str) -> Scores:
        """Score one of the rankings."""
        return score(self.rankings[ranking], self.question.evidence)

    def fused(self, share: float, *, shipped: float) -> Scores:
        """Score the candidates as if `share` had been the text arm's part instead of `shipped`."""

        def weigh(key: str) -> float:
            text, vector = self.contributions[key]
            if text is None or vector is None:
                return (text or 0.0) + (vector or 0.0)
            return text * share / shipped + vector * (1 - share) / (1 - shipped)

        ranked = sorted(self.contributions, key=weigh, reverse=True)
        return score(ranked, self.question.evidence)


def measure_retrieval(home: Path, *, locomo: Path | None, cosqa: Path | None) -> Iterator[Section]:
    """Store the data sets that are there with real weights, ask every question, and report."""
    import_model(packaged_model(home), home / "mahavishnu/data/models", sha256=GRAPH_SHA256)
    if locomo is not None:
        started = time.monotonic()
        section = _report_conversations(asyncio.run(_ask_locomo(home, load_locomo(locomo))))
        section.seconds = time.monotonic() - started
        yield section
    if cosqa is not None:
        started = time.monotonic()
        functions, pairs = load_cosqa(cosqa)
        section = _report_code(asyncio.run(_ask_cosqa(home, functions, pairs)), len(functions))
        section.seconds = time.monotonic() - started
        yield section


def _opened(home: Path) -> AbstractAsyncContextManager[App]:
    return open_product(
        home, MAHAVISHNU_EMBEDDING_PROVIDER="in-process", MAHAVISHNU_EMBEDDING_MODEL=NAME
    )


async def _ask_locomo(home: Path, conversations: Sequence[Conversation]) -> list[Asked]:
    async with _opened(home) as app:
        return [
            asked
            for conversation in conversations
            for asked in await _ask_conversation(app, conversation)
        ]


async def _ask_conversation(app: App, conversation: Conversation) -> list[Asked]:
    turns = [
        NewTurn(
            session_id=f"{conversation.name}/{turn.session}",
            position=turn.position,
            role="user",
            speaker=turn.speaker,
            content=turn.text,
            occurred_at=turn.occurred_at,
            project=conversation.name,
            source_system="locomo",
        )
        for turn in conversation.turns
    ]
    for start in range(0, len(turns), BATCH):
        await app.conversations.record(turns[start : start + BATCH])
    keys = {
        f"{conversation.name}/{turn.session}:{turn.position}": turn.key
        for turn in conversation.turns
    }
    baseline = Bm25([f"{turn.speaker}: {turn.text}" for turn in conversation.turns])
    asked = []
    for question in conversation.questions:
        ranked = [conversation.turns[place].key for place in baseline.rank(question.text)]
        asked.append(await _ask(app, conversation.name, question, keys, ranked))
    return asked


async def _ask_cosqa(
    home: Path, functions: Sequence[str], pairs: Sequence[tuple[str, int]]
) -> list[Asked]:
    news = [
        NewMemory(content=code, collection="code", source_system="cosqa", source_key=str(place),
                  project="cosqa")
        for place, code in enumerate(functions)
    ]  # fmt: skip
    keys = {str(place): str(place) for place in range(len(functions))}
    baseline = Bm25(functions)
    asked = []
    async with _opened(home) as app:
        async for stored in app.memories.store_many(news):
            assert stored.embedded
        for text, place in pairs:
            question = Question(text, "code", frozenset([str(place)]))
            ranked = [str(found) for found in baseline.rank(text)]
            asked.append(await _ask(app, "cosqa", question, keys, ranked))
    return asked


async def _ask(
    app: App,
    project: str,
    question: Question,
    keys: Mapping[str, str],
    baseline: list[str],
) -> Asked:
    """Ask in every mode, deep enough to judge the arms, and once as a user does."""
    hits: dict[str, tuple[Hit, ...]] = {}
    for name, mode, limit in ASKED:
        result = await app.search(
            SearchRequest(
                query=question.text,
                mode=mode,
                limit=limit,
                wanted=MemoryFilter(projects=(project,)),
            )
        )
        assert not result.degraded, result.degraded
        hits[name] = result.hits
    rankings = {
        name: [keys[hit.memory.source_key] for hit in found] for name, found in hits.items()
    }
    contributions = {
        keys[hit.memory.source_key]: (
            hit.arms["text"].contribution if "text" in hit.arms else None,
            hit.arms["vector"].contribution if "vector" in hit.arms else None,
        )
        for hit in hits["hybrid"]
    }
    same = all(_same_arm(hits[arm], hits["hybrid"], arm) for arm in ("text", "vector"))
    return Asked(project, question, {"BM25": baseline, **rankings}, contributions, same)


def _same_arm(alone: Sequence[Hit], fused: Sequence[Hit], arm: str) -> bool:
    """Tell whether what both answers hold has the same rank and score in the arm."""
    within = {hit.memory.id: hit.arms[arm] for hit in fused if arm in hit.arms}
    for hit in alone:
        other = within.get(hit.memory.id)
        if other is None:
            continue
        if other.rank != hit.arms[arm].rank or abs(other.score - hit.arms[arm].score) > 1e-6:
            return False
    return True


def _report_conversations(asked: Sequence[Asked]) -> Section:
    section = Section(
        f"Conversations: LoCoMo, {len({a.group for a in asked})} conversations, "
        f"{len(asked)} questions, {NAME}"
    )
    arms = {name: [a.scores(name) for a in asked] for name in asked[0].rankings}
    for name in ("BM25", "text", "vector"):
        goals = [least("R@10", ARM_GOALS[name])] if name in ARM_GOALS else []
        section.add(name, *goals, **mean(arms[name]))
    better = max(("text", "vector"), key=lambda name: mean(arms[name])["R@10"])
    groups = [a.group for a in asked]
    shipped = WEIGHTS["conversation"].text_share
    shares = choose_share(
        groups, lambda place, share: asked[place].fused(share, shipped=shipped).recall[10]
    )
    held_out = [a.fused(shares[a.group], shipped=shipped) for a in asked]
    hybrids = {"hybrid": arms["hybrid"], ASKED_BY_USERS: arms[ASKED_BY_USERS]}
    for name, scores in (hybrids | {"hybrid, one held out": held_out}).items():
        by_question = bootstrap_gain(scores, arms[better])
        by_group = bootstrap_gain(scores, arms[better], groups=groups)
        section.add(
            name, least("R@10", HYBRID_GOAL), least("gain from", GAIN_GOAL), **mean(scores),
            gain=by_question[0], gain__from=by_question[1], by__conversation=by_group[1],
        )  # fmt: skip
    chosen = ", ".join(f"{group} {share:.1f}" for group, share in shares.items())
    section.notes += [
        f"gain: of R@10 over the better arm ({better}); from: lower end of the 95 % interval, "
        "2,000 resamples of the questions, or of the conversations.",
        f"Text share shipped: {shipped}; chosen on the other conversations: {chosen}.",
        *_agreement(asked),
    ]
    return section


def _report_code(asked: Sequence[Asked], functions: int) -> Section:
    section = Section(f"Code: CoSQA, {functions} functions, {len(asked)} queries, {NAME}")
    arms = {name: [a.scores(name) for a in asked] for name in asked[0].rankings}
    better = max(("text", "vector"), key=lambda name: mean(arms[name])["MRR"])
    floor = mean(arms[better])["MRR"] - CODE_TOLERANCE
    for name, scores in arms.items():
        goals = [least("MRR", round(floor, 4))] if name.startswith("hybrid") else []
        section.add(name, *goals, **mean(scores))
    section.notes += [
        f"Text share shipped: {WEIGHTS['code'].text_share}; better arm: {better}.",
        *_agreement(asked),
    ]
    return section


def _agreement(asked: Sequence[Asked]) -> list[str]:
    same = sum(a.same_arms for a in asked)
    return [
        f"Arms: asked with a limit of {CANDIDATES}; mode text and mode vector give the ranks and "
        f"scores of the arms within hybrid for {same} of {len(asked)} questions."
    ]

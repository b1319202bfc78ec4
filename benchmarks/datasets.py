"""Read the evaluation data; it is not part of the project and its licence is not ours."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation, with the caption of a shared image in its text."""

    key: str
    session: str
    position: int
    speaker: str
    text: str
    occurred_at: datetime


@dataclass(frozen=True)
class Question:
    """A question and the keys of the items that answer it."""

    text: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True)
class Conversation:
    """A conversation with its questions."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


def load_locomo(path: Path) -> list[Conversation]:
    """Read LoCoMo (Maharana et al., 2024); questions without usable evidence are left out."""
    conversations = []
    for number, sample in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        spoken = sample["conversation"]
        sessions = sorted(
            (key for key in spoken if re.fullmatch(r"session_\d+", key)),
            key=lambda key: int(key.rpartition("_")[2]),
        )
        turns = []
        for session in sessions:
            moment = datetime.strptime(
                spoken[f"{session}_date_time"], "%I:%M %p on %d %B, %Y"
            ).replace(tzinfo=UTC)
            for position, turn in enumerate(spoken[session]):
                caption = turn.get("blip_caption")
                text = turn["text"] + (f" [shares image: {caption}]" if caption else "")
                turns.append(Turn(turn["dia_id"], session, position, turn["speaker"], text, moment))
        known = {turn.key for turn in turns}
        questions = []
        for item in sample["qa"]:
            cited = (re.findall(r"D\d+:\d+", text) for text in item.get("evidence", []))
            evidence = frozenset(key for keys in cited for key in keys if key in known)
            if evidence:
                questions.append(Question(item["question"], CATEGORIES[item["category"]], evidence))
        name = str(sample.get("sample_id", number))
        conversations.append(Conversation(name, tuple(turns), tuple(questions)))
    return conversations


def load_cosqa(path: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """Read CoSQA (Huang et al., 2021): the distinct functions, and (query, its function) pairs."""
    pairs = json.loads(path.read_text(encoding="utf-8"))
    functions = list(dict.fromkeys(pair["code"] for pair in pairs))
    places = {code: number for number, code in enumerate(functions)}
    return functions, [(p["doc"], places[p["code"]]) for p in pairs if p["label"] == 1]

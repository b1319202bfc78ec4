"""Checks of the embedding model: is there one, is it that of the stored vectors, what waits for it."""

import math
from collections.abc import Sequence

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.database.vectors import VectorTable
from mahavishnu.doctor.findings import Examination, Finding, failure
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.port import Embedder
from mahavishnu.factories import chooser

# The port promises numbers equal within 1e-3, whatever the batch; of up to 2,000 of them that is a
# cosine of .999. Rounding to half precision costs less than 1e-6.
SAME_MODEL_COSINE = 0.999
PROBE_CHARACTERS = 2_000
BATCH = 64


async def look_at_model(examination: Examination) -> Finding:
    """Choose the embedder as memory commands do, and say why; needs `settings`."""
    try:
        choice = await _choose(examination)
    except MahavishnuError as error:
        if error.code != "embedding.model_differs":
            raise
        examination.mismatch = error  # it answers; that it is another one is the next check's
        return Finding("ok", "The configured one answers.")
    examination.choice = choice
    if choice.embedder is not None:
        return Finding("ok", f"It is {choice.reason}")
    summary = f"{choice.reason} Search goes by words."
    if not choice.tried:
        return Finding("info", summary)
    why = "\n".join(f"{refusal.provider}: {refusal.why}" for refusal in choice.tried)
    return Finding("warning", summary, why)


async def _choose(examination: Examination) -> Choice:
    """Ask for the embedder that fits the database; for any, where that cannot be opened."""
    if examination.app is not None:
        return await examination.app.space.choice()
    assert examination.loaded is not None
    choice = await chooser(examination.loaded, None)(None)
    if choice.embedder is not None:
        examination.stack.push_async_callback(choice.embedder.aclose)
    return choice


async def look_at_identity(examination: Examination) -> Finding:
    """Compare the embedder's identity with that of the stored vectors; needs `memory`."""
    if examination.mismatch is not None:
        return failure(examination.mismatch)
    active = await _app(examination).space.active()
    embedder = _embedder(examination)
    if active is None:
        return Finding("ok", "No vectors are stored yet.")
    if embedder is None:
        return Finding(
            "skipped",
            f"The stored vectors are of {active[1].key}; there is no embedder to compare.",
        )
    await _app(examination).space.embedder()  # raises where it is another one
    return Finding("ok", f"The stored vectors are of {active[1].key}, as it is.")


async def look_at_probe(examination: Examination) -> Finding:
    """Embed stored texts of the caller's again and compare, or a trial; needs `model`."""
    identity = examination.findings["model_identity"]
    embedder = _embedder(examination)
    if embedder is None or identity.status == "error":
        why = "there is no embedder" if embedder is None else "of model_identity"
        return Finding("skipped", f"Not looked at, because {why}.")
    active = await examination.app.space.active() if examination.app else None
    samples = await read_samples(examination.app, active[0]) if examination.app and active else []
    if not samples:
        [vector] = await embedder.embed_documents(["trial"])
        return Finding("ok", f"It made a trial vector of {len(vector)} dimensions.")
    made = [(await embedder.embed_documents([text]))[0] for text, _ in samples]
    return judge_cosines([math.sumprod(a, b) for a, (_, b) in zip(made, samples, strict=True)])


async def read_samples(app: App, table: VectorTable) -> list[tuple[str, list[float]]]:
    """Return up to three texts of the caller's with their stored vectors, newest first."""
    rows = await app.database.run(
        lambda connection: connection.fetch(table.samples(), PROBE_CHARACTERS)
    )
    return [(row["text"], row["embedding"].to_list()) for row in rows]


def judge_cosines(cosines: Sequence[float]) -> Finding:
    """Tell by cosines of new to stored vectors whether one model made both; one stray may be brought."""
    lowest, best = min(cosines), max(cosines)
    shown = f"cosine {lowest:.5f}" if len(cosines) == 1 else f"cosines {lowest:.5f} to {best:.5f}"
    if lowest >= SAME_MODEL_COSINE:
        return Finding("ok", f"Stored texts get the vectors they have ({shown}).")
    if best >= SAME_MODEL_COSINE:
        return Finding(
            "warning",
            f"Some stored vectors are not those of the model ({shown}); they may have been brought.",
            "Store such texts again without a vector, after: mahavishnu memory forget ID",
        )
    return Finding(
        "error",
        f"The model makes other vectors than those that are stored ({shown}).",
        "Bring the former model back; a local one is checked by: mahavishnu model verify NAME",
        code="embedding.model_differs",
    )


async def look_at_waiting(examination: Examination) -> Finding:
    """Count the memories without vectors; needs `memory`."""
    app = _app(examination)
    count = await app.memories.count_waiting()
    if not count:
        return Finding("ok", "No memory waits for its vectors.")
    shown = f"{count:,} memories wait for their vectors" if count > 1 else "1 memory waits for its"
    summary = f"{shown}; search finds them by words." if count > 1 else f"{shown} vectors."
    checks = ("model", "model_identity", "model_probe")
    if _embedder(examination) is None or not all(
        examination.findings[name].usable for name in checks
    ):
        return Finding("warning", summary, "First fix what is reported about the model.")
    return Finding("warning", summary, "mahavishnu memory embed", fixable=True)


async def embed_waiting(examination: Examination) -> str:
    """Give vectors to all that wait; raises what the embedder raises."""
    memories, done = _app(examination).memories, 0
    while count := await memories.embed_waiting(limit=BATCH):
        done += count
    left = await memories.count_waiting()
    return f"Embedded {done:,} memories; {left:,} wait."


def _app(examination: Examination) -> App:
    assert examination.app is not None
    return examination.app


def _embedder(examination: Examination) -> Embedder | None:
    return examination.choice.embedder if examination.choice else None

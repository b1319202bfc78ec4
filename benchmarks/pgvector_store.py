"""
LlamaIndex's own PGVectorStore, in an environment of its own: it needs an older SQLAlchemy than the product.

Run as a program, by that environment's Python, it adds the nodes that stand in a file to a database.
"""

import json
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

PACKAGE = "llama-index-vector-stores-postgres>=0.9,<1"
INSTALLING_S = 900
GRAPH = {"hnsw_m": 16, "hnsw_ef_construction": 100, "hnsw_ef_search": 100}  # as ours


def install(folder: Path) -> Path | None:
    """Return the Python of an environment with the store, made once; None where it cannot be had."""
    python = folder / "bin/python"
    try:
        if not python.exists():
            venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", PACKAGE]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALLING_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return python


def add(nodes: Path, host: str, port: str, graph: dict[str, int] | None) -> float:
    """Add nodes with their vectors, searchable by words and in a `graph`; return how long that takes."""
    import psycopg2  # type: ignore[import-untyped]  # of the other environment, as the rest
    from llama_index.core.schema import TextNode
    from llama_index.vector_stores.postgres import (  # type: ignore[import-not-found]
        PGVectorStore,
    )

    database = "pgvector_graph" if graph else "pgvector_plain"
    connection = psycopg2.connect(host=host, port=port, user="postgres", dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {database}")
    connection.close()
    given: list[dict[str, Any]] = json.loads(nodes.read_text("utf-8"))
    url = f"postgres@/{database}?host={host}&port={port}"
    store = PGVectorStore.from_params(
        connection_string=f"postgresql+psycopg2://{url}",
        async_connection_string=f"postgresql+asyncpg://{url}",
        table_name="nodes",
        embed_dim=len(given[0]["embedding"]),
        hybrid_search=True,
        text_search_config="english",
        hnsw_kwargs=graph and {**graph},  # the store takes some of them out
    )
    made = [TextNode(**each) for each in given]
    store.add(made[:1])  # makes table and indexes
    began = time.monotonic()
    store.add(made[1:])
    return time.monotonic() - began


if __name__ == "__main__":
    print(json.dumps([add(Path(sys.argv[1]), *sys.argv[2:], graph) for graph in (None, GRAPH)]))

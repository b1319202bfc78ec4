"""
Statements over the vectors of one model. Generated, because table names and dimensions cannot be
bind parameters; the only values put into text are two integers of a validated model row.
"""

from dataclasses import dataclass

from mahavishnu.database.queries import name_statement

COLLECTION_NAMES = ("note", "conversation", "document", "code", "execution", "insight")
HNSW_OPTIONS = "m = 16, ef_construction = 100"
MAX_DIMENSIONS = 4000  # halfvec's limit for HNSW; also what fits a page unTOASTed
# Which vectors are searched: those in scopes, in some collections of them, or those of some memories.
IN_SCOPES = "scope_no = ANY ($3::integer[])"
IN_COLLECTIONS = f"{IN_SCOPES} AND collection = ANY ($4::text[])"
OF_MEMORIES = "memory_no = ANY ($3::bigint[])"
_IN_MEMORY = "scope_no, char_start, char_end, halfvec_send(embedding) AS vector"


@dataclass(frozen=True)
class VectorTable:
    """The table of one model's vectors: inner product on unit vectors, half precision."""

    model_no: int
    dimensions: int

    def __post_init__(self) -> None:
        if not isinstance(self.model_no, int) or self.model_no < 1:
            raise ValueError(f"model_no must be a positive integer, not {self.model_no!r}")
        if not isinstance(self.dimensions, int) or not 1 <= self.dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"dimensions must be 1 to {MAX_DIMENSIONS}, not {self.dimensions!r}")

    @property
    def name(self) -> str:
        """The table's name."""
        return f"embeddings_{self.model_no}"

    def create(self) -> str:
        """Return the script that makes the table, its partitions, indexes and policies."""
        partitions = "\n".join(
            f"CREATE TABLE {self.name}_{collection} PARTITION OF {self.name} FOR VALUES IN ('{collection}');\n"
            f"ALTER TABLE {self.name}_{collection} ALTER COLUMN embedding SET STORAGE PLAIN;\n"
            f"SELECT follow_scopes('{self.name}_{collection}');"
            for collection in COLLECTION_NAMES
        )
        return f"""
            CREATE TABLE {self.name} (
                memory_no   bigint NOT NULL REFERENCES memories (memory_no) ON DELETE CASCADE,
                chunk_no    integer NOT NULL,
                scope_no    integer NOT NULL,
                collection  text NOT NULL,
                char_start  integer NOT NULL,
                char_end    integer NOT NULL,
                embedding   halfvec({self.dimensions}) NOT NULL,
                PRIMARY KEY (memory_no, chunk_no, collection)
            ) PARTITION BY LIST (collection);
            ALTER TABLE {self.name} ALTER COLUMN embedding SET STORAGE PLAIN;
            {partitions}
            SELECT follow_scopes('{self.name}');
            CREATE INDEX {self.name}_scope ON {self.name} (scope_no);
            {self.create_graph()}
        """

    def create_graph(self) -> str:
        """Return the statement that makes the graph."""
        return (
            f"CREATE INDEX {self.name}_hnsw ON {self.name} "
            f"USING hnsw (embedding halfvec_ip_ops) WITH ({HNSW_OPTIONS});"
        )

    def nearest(self, condition: str = IN_SCOPES, *, exact: bool = False) -> str:
        """
        Return the search under one of the conditions above, in the HNSW graph or of all. $1 vector, $2 limit,
        from $3 on what the condition takes; (memory_no, scope_no, char_start, char_end, similarity), best first.
        """
        return name_statement(
            "nearest_vectors",
            "SELECT memory_no, scope_no, char_start, char_end, -(embedding <#> $1) AS similarity "
            f"FROM {self.name} WHERE {condition} ORDER BY {_order(exact)} LIMIT $2",
        )

    def nearest_filtered(self, condition: str, *, exact: bool = False) -> str:
        """
        Return the search under a `condition` on memories m that many pass. $1 vector, $2 limit, $3 scopes,
        from $4 on what the condition takes; rows as `nearest`.
        """
        return name_statement(
            "nearest_vectors",
            "SELECT memory_no, e.scope_no, char_start, char_end, -(embedding <#> $1) AS similarity "
            f"FROM {self.name} e JOIN memories m USING (memory_no) "
            f"WHERE e.scope_no = ANY ($3::integer[]) AND {condition} "
            "AND (m.expires_at IS NULL OR m.expires_at > now()) "
            f"ORDER BY {_order(exact)} LIMIT $2",
        )

    def similarities(self) -> str:
        """Return the best similarity of given memories. $1 vector, $2 memory numbers; (memory_no, similarity)."""
        return name_statement(
            "measure_similarities",
            f"SELECT memory_no, max(-(embedding <#> $1)) AS similarity FROM {self.name} "
            "WHERE memory_no = ANY ($2::bigint[]) GROUP BY memory_no",
        )

    def samples(self) -> str:
        """Return the reading of the caller's three newest pieces of text. $1 most characters; (text, embedding)."""
        return (
            "SELECT substr(CASE WHEN m.context = '' THEN m.content ELSE m.context || E'\\n' || m.content END, "
            "e.char_start + 1, e.char_end - e.char_start) AS text, e.embedding "
            f"FROM {self.name} e JOIN memories m USING (memory_no) "
            "WHERE e.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user) "
            "AND e.char_end - e.char_start <= $1 ORDER BY e.memory_no DESC, e.chunk_no LIMIT 3"
        )

    def page(self) -> str:
        """
        Return the reading of scopes' vectors in pages. $1 scopes, $2 and $3 the last memory and chunk, $4 how many;
        (memory_no, chunk_no, scope_no, char_start, char_end, vector as `halfvec_send` gives it), by memory and chunk.
        """
        return (
            f"SELECT memory_no, chunk_no, {_IN_MEMORY} FROM {self.name} WHERE scope_no = ANY ($1::integer[]) "
            "AND (memory_no, chunk_no) > ($2::bigint, $3::integer) ORDER BY memory_no, chunk_no LIMIT $4"
        )

    def of_memories(self) -> str:
        """Return the reading of memories' vectors. $1 memory numbers; (memory_no, chunk_no, and so on as `page`)."""
        return f"SELECT memory_no, chunk_no, {_IN_MEMORY} FROM {self.name} WHERE {OF_MEMORIES.replace('$3', '$1')}"

    def late(self) -> str:
        """
        Return the reading of the vectors of memories stored from a transaction on, and of some others. $1 transaction,
        $2 memory numbers, $3 how many; rows as `of_memories`.
        """
        return (
            f"SELECT memory_no, chunk_no, {_IN_MEMORY} FROM {self.name} WHERE memory_no = ANY (ARRAY("
            "SELECT m.memory_no FROM changes c JOIN memories m ON m.id = c.memory_id "
            "WHERE c.xid >= $1::xid8 AND c.kind = 'stored') || $2::bigint[]) LIMIT $3"
        )

    def exported(self) -> str:
        """Return the expression for the vectors of a memory m, as JSON: starts, ends and base64."""
        return (
            "(SELECT json_agg(json_build_array(e.char_start, e.char_end, "
            r"translate(encode(halfvec_send(e.embedding), 'base64'), E'\n', '')) ORDER BY e.chunk_no) "
            f"FROM {self.name} e WHERE e.memory_no = m.memory_no)"
        )

    def spread_samples(self) -> str:
        """Return the reading of live memories, spread by their ids. $1 how many; (id, content, embedding)."""
        return (
            f"SELECT m.id, m.content, e.embedding FROM {self.name} e JOIN memories m USING (memory_no) "
            "WHERE m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now()) "
            "ORDER BY md5(m.id::text), e.chunk_no LIMIT $1"
        )

    def drop_rows(self) -> str:
        """Return the removal of vectors. $1 memory numbers."""
        return f"DELETE FROM {self.name} WHERE memory_no = ANY ($1::bigint[])"

    def keep_forgotten(self) -> str:
        """Return the copy of vectors to the tombstones of their memories. $1 ids."""
        return (
            "INSERT INTO forgotten_vectors (memory_no, model_no, chunk_no, scope_no, char_start, char_end, embedding) "
            f"SELECT memory_no, {self.model_no}, chunk_no, e.scope_no, char_start, char_end, embedding "
            f"FROM {self.name} e JOIN forgotten_memories f USING (memory_no) "
            "WHERE f.id = ANY ($1::uuid[]) ON CONFLICT DO NOTHING"
        )

    def put_back(self) -> str:
        """Return the way back, for memories that are there again. $1 memory numbers."""
        return (
            f"INSERT INTO {self.name} (memory_no, chunk_no, scope_no, collection, char_start, char_end, embedding) "
            "SELECT memory_no, chunk_no, v.scope_no, collection, char_start, char_end, embedding "
            "FROM forgotten_vectors v JOIN forgotten_memories USING (memory_no) "
            f"WHERE memory_no = ANY ($1::bigint[]) AND model_no = {self.model_no}"
        )

    def add_rows(self) -> str:
        """
        Return the insertion for memories that waited. $1 memory numbers, $2 chunk numbers, $3 scopes,
        $4 collections, $5 starts, $6 ends, $7 vectors.
        """
        return name_statement(
            "add_vectors",
            f"INSERT INTO {self.name} (memory_no, chunk_no, scope_no, collection, char_start, char_end, embedding) "
            "SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::integer[], "
            "$6::integer[], $7::halfvec[]) ON CONFLICT DO NOTHING",
        )


def _order(exact: bool) -> str:
    # Adding zero keeps the planner from walking the graph, whose recall collapses under a filter.
    return "(embedding <#> $1) + 0" if exact else "embedding <#> $1"

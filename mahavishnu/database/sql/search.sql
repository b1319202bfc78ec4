-- match_terms --
-- BM25 over the terms of a question. A term in $3 or more memories counts through its $3 newest, and not
-- at all while a rarer term is there. idf is that of what is searched, not of what others store.
-- $1 terms, $2 scopes, $3 cap, $4 number of memories searched, $5 k1, $6 b, $7 usual length, $8 limit,
-- $9 memory numbers or null; (memory_no, scope_no, score), best first.
WITH hits AS (
    SELECT asked.ord, p.memory_no, p.scope_no, p.frequency, p.length
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (term, ord)
    CROSS JOIN LATERAL (
        SELECT memory_no, scope_no, frequency, length FROM postings
        WHERE term = asked.term COLLATE "C" AND scope_no = ANY ($2::integer[])
            AND ($9::bigint[] IS NULL OR memory_no = ANY ($9))
        ORDER BY memory_no DESC LIMIT $3
    ) AS p
), known AS (
    SELECT ord, count(*)::float8 AS df FROM hits GROUP BY ord
), used AS (
    SELECT ord, ln(1 + (greatest($4::float8, df) - df + 0.5::float8) / (df + 0.5::float8)) AS idf FROM known
    WHERE df < $3 OR NOT EXISTS (SELECT FROM known WHERE df < $3)
)
SELECT memory_no, min(scope_no) AS scope_no,
       sum(idf * frequency / (frequency + $5::float8 * (1 - $6::float8 + $6::float8 * length / $7::float8))) AS score
FROM hits JOIN used USING (ord)
GROUP BY memory_no ORDER BY score DESC, memory_no DESC LIMIT $8;

-- match_terms_filtered --
-- The same where more memories pass a fine filter than can be named: each posting's memory is tested.
-- $1 to $7 as above, $8 limit, $9 to $16 as $2 to $9 of list_memories; (memory_no, scope_no, score).
WITH hits AS (
    SELECT asked.ord, p.memory_no, p.scope_no, p.frequency, p.length
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (term, ord)
    CROSS JOIN LATERAL (
        SELECT t.memory_no, t.scope_no, t.frequency, t.length FROM postings t JOIN memories m USING (memory_no)
        WHERE t.term = asked.term COLLATE "C" AND t.scope_no = ANY ($2::integer[])
            AND ($9::text IS NULL OR m.agent_id = $9) AND ($10::text IS NULL OR m.workflow_id = $10)
            AND ($11::text IS NULL OR m.repo_id = $11) AND ($12::text IS NULL OR m.session_id = $12)
            AND ($13::text IS NULL OR m.source_system = $13) AND ($14::jsonb IS NULL OR m.metadata @> $14)
            AND ($15::timestamptz IS NULL OR m.occurred_at >= $15) AND ($16::timestamptz IS NULL OR m.occurred_at < $16)
            AND (m.expires_at IS NULL OR m.expires_at > now())
        ORDER BY t.memory_no DESC LIMIT $3
    ) AS p
), known AS (
    SELECT ord, count(*)::float8 AS df FROM hits GROUP BY ord
), used AS (
    SELECT ord, ln(1 + (greatest($4::float8, df) - df + 0.5::float8) / (df + 0.5::float8)) AS idf FROM known
    WHERE df < $3 OR NOT EXISTS (SELECT FROM known WHERE df < $3)
)
SELECT memory_no, min(scope_no) AS scope_no,
       sum(idf * frequency / (frequency + $5::float8 * (1 - $6::float8 + $6::float8 * length / $7::float8))) AS score
FROM hits JOIN used USING (ord)
GROUP BY memory_no ORDER BY score DESC, memory_no DESC LIMIT $8;

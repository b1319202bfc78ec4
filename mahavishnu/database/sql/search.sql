-- match_terms --
-- BM25 over the terms of a question. A term in $3 or more memories counts through its $3 newest, and while
-- a rarer term is there so little that it only fills the places behind. idf is that of what is searched, not of what others store.
-- $1 terms, $2 scopes, $3 cap, $4 number of memories searched, $5 k1, $6 b, $7 usual length, $8 limit,
-- $9 memory numbers or null, $10 whether to test each posting's memory, by a filter's fine
-- parameters from $11 on; (memory_no, scope_no, score), best first.
WITH hits AS (
    SELECT asked.ord, p.memory_no, p.scope_no, p.frequency, p.length
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (term, ord)
    CROSS JOIN LATERAL (
        SELECT memory_no, scope_no, frequency, length FROM postings
        WHERE term = asked.term COLLATE "C" AND scope_no = ANY ($2::integer[])
            AND ($9::bigint[] IS NULL OR memory_no = ANY ($9))
            AND (NOT $10::boolean OR EXISTS (
                SELECT FROM memories m WHERE m.memory_no = postings.memory_no
                    AND {passes from $11}
                    AND (m.expires_at IS NULL OR m.expires_at > now())))
        ORDER BY memory_no DESC LIMIT $3
    ) AS p
), known AS (
    SELECT ord, count(*)::float8 AS df FROM hits GROUP BY ord
), used AS (
    SELECT ord, ln(1 + (greatest($4::float8, df) - df + 0.5::float8) / (df + 0.5::float8))
               * CASE WHEN df < $3 OR NOT EXISTS (SELECT FROM known WHERE df < $3) THEN 1 ELSE 0.01 END AS idf
    FROM known
)
SELECT memory_no, min(scope_no) AS scope_no,
       sum(idf * frequency / (frequency + $5::float8 * (1 - $6::float8 + $6::float8 * length / $7::float8))) AS score
FROM hits JOIN used USING (ord)
GROUP BY memory_no ORDER BY score DESC, memory_no DESC LIMIT $8;

-- fetch_hits --
-- Live memories by number, in no order, and what else an answer tells: the fingerprint of the visible scopes
-- how many of what is searched waits for vectors, of one's own and of others, and whether anything was stored.
-- A kept plan has to use the index of xid, so that is asked for in order.
-- $1 memory numbers, $2 scopes, $3 how far to count, $4 the transaction from which on, or null;
-- (fingerprint, waiting, others_waiting, changed, rows of `memory`), one row with an empty memory where none is left.
SELECT state.fingerprint, state.waiting, state.others_waiting, state.changed, found.*
FROM (
    SELECT (SELECT bit_xor(hash_record_extended(s, 0)) FROM scopes s) AS fingerprint,
           count(*) FILTER (WHERE s.owner = current_user) AS waiting,
           count(*) FILTER (WHERE s.owner <> current_user) AS others_waiting,
           (SELECT xid FROM changes WHERE xid >= $4::xid8 AND kind = 'stored' ORDER BY xid LIMIT 1) IS NOT NULL AS changed
    FROM (SELECT scope_no FROM embedding_queue WHERE scope_no = ANY ($2::integer[]) LIMIT $3) AS queued
    JOIN scopes s USING (scope_no)
) AS state LEFT JOIN (
    SELECT {memory}
    FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
    WHERE m.memory_no = ANY ($1::bigint[]) AND m.superseded_by IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
) AS found ON true;

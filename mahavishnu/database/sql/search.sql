-- match_terms --
-- BM25 over the terms of a question. A term in more than $3 memories counts through its $3 newest, and
-- not at all while a rarer term is there. idf and lengths are those of what the caller may see.
-- $1 terms, $2 scopes, $3 cap, $4 number of memories searched, $5 k1, $6 b, $7 usual length, $8 limit;
-- (memory_no, scope_no, score), best first.
WITH hits AS (
    SELECT asked.ord, p.memory_no, p.scope_no, p.frequency, p.length
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (term, ord)
    CROSS JOIN LATERAL (
        SELECT memory_no, scope_no, frequency, length FROM postings
        WHERE term = asked.term COLLATE "C" AND scope_no = ANY ($2::integer[])
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

-- match_terms_among --
-- The same, among given memories only. $1 to $8 as above, $9 memory numbers; (memory_no, scope_no, score).
WITH hits AS (
    SELECT asked.ord, p.memory_no, p.scope_no, p.frequency, p.length
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (term, ord)
    CROSS JOIN LATERAL (
        SELECT memory_no, scope_no, frequency, length FROM postings
        WHERE term = asked.term COLLATE "C" AND scope_no = ANY ($2::integer[]) AND memory_no = ANY ($9::bigint[])
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

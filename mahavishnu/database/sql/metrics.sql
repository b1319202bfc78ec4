-- roll_up_metrics --
-- Put one row in the place of the samples of an hour, and delete what is too old; where others did so less than $5 ago,
-- nothing. The row's figures are the medians (of counts the sums), its text is the last one, its labels those that all
-- had; `rolled_up` among them has the rest. All or nothing: a sample counts once, wherever this is interrupted. $1 id of
-- the mark that tells when, $2 its scope, $3 end of what is rolled up, a full hour, $4 end of what is deleted, $5 interval,
-- $6 most samples at once, $7 texts that mean an error; no rows.
WITH turn AS MATERIALIZED (
    INSERT INTO performance_metrics AS mark (id, scope_no, source, name, text)
    VALUES ($1, $2, 'mahavishnu', 'roll_up', 'done')
    ON CONFLICT (id) DO UPDATE SET recorded_at = now() WHERE mark.recorded_at <= now() - $5::interval
    RETURNING scope_no
), own AS MATERIALIZED (
    SELECT scope_no FROM scopes WHERE owner = current_user AND EXISTS (SELECT FROM turn)
), expired AS (
    DELETE FROM performance_metrics WHERE scope_no IN (SELECT scope_no FROM own) AND recorded_at < $4
), old AS (
    SELECT id FROM performance_metrics
    WHERE scope_no IN (SELECT scope_no FROM own) AND recorded_at >= $4 AND recorded_at < $3 AND NOT labels ? 'rolled_up'
    ORDER BY recorded_at LIMIT $6
), gone AS (
    DELETE FROM performance_metrics WHERE id IN (SELECT id FROM old) RETURNING *
), sample AS (
    SELECT *, dense_rank() OVER (ORDER BY scope_no, source, name, unit, date_bin('1 hour', recorded_at, 'epoch')) AS hour_no,
           coalesce(
               jsonb_path_query_first(figures, '$.keyvalue() ? (@.key == "error_count" || @.key == "errors").value.double()',
                                      '{}', true)::numeric,
               (text = ANY ($7::text[]))::integer, 0) AS errors
    FROM gone
), number AS (
    SELECT hour_no, key, count(*) AS n, min(v), max(v), percentile_disc(0.5) WITHIN GROUP (ORDER BY v) AS median,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY v) AS p95,
           CASE WHEN key ~ '^(count|errors)$|_count$' THEN sum(v) END AS total
    FROM sample, jsonb_each(figures || jsonb_strip_nulls(jsonb_build_object('value', value))),
         LATERAL (SELECT CASE jsonb_typeof(jsonb_each.value) WHEN 'number' THEN jsonb_each.value::numeric END AS v)
    WHERE v IS NOT NULL GROUP BY hour_no, key
), numbers AS (
    SELECT hour_no, jsonb_object_agg(key, coalesce(total, median)) AS figures,
           jsonb_object_agg(key, jsonb_build_object('count', n, 'min', min, 'median', median, 'p95', p95, 'max', max)) AS spread,
           max(median) FILTER (WHERE key = 'value') AS value
    FROM number GROUP BY hour_no
), hour AS (
    SELECT hour_no, count(*) AS samples, sum(errors) AS errors, string_agg(right(id::text, 8), ' ') AS ids,
           gen_random_uuid() AS id,  -- among the ids of samples it would keep a page of the index that is else empty
           (array_agg(figures ORDER BY recorded_at DESC))[1] AS figures,
           (array_agg(text ORDER BY recorded_at DESC) FILTER (WHERE text IS NOT NULL))[1] AS text,
           min(scope_no) AS scope_no, min(source) AS source, min(name) AS name, min(unit) AS unit,
           date_bin('1 hour', min(recorded_at), 'epoch') AS recorded_at
    FROM sample GROUP BY hour_no
), common AS (
    SELECT hour_no, jsonb_object_agg(key, value) AS labels
    FROM (SELECT hour_no, key, l.value, count(*) AS n FROM sample, jsonb_each(labels) AS l GROUP BY 1, 2, 3) AS label
    JOIN hour USING (hour_no) WHERE n = samples GROUP BY hour_no
)
INSERT INTO performance_metrics (id, scope_no, source, name, value, unit, text, recorded_at, figures, labels)
SELECT id, scope_no, source, name, CASE WHEN unit IS NOT NULL THEN numbers.value::double precision END, unit, text, recorded_at,
       hour.figures || coalesce(numbers.figures, '{}'),
       coalesce(labels, '{}') || jsonb_build_object('rolled_up', jsonb_build_object(
           'samples', samples, 'errors', errors, 'ids', ids, 'spread', coalesce(spread, '{}')))
FROM hour LEFT JOIN numbers USING (hour_no) LEFT JOIN common USING (hour_no);

-- summarize_metrics --
-- What was measured of components, by component, type and unit. A row of an hour stands for its samples: for the
-- percentiles it is twenty points on the line through its least value, median, p95 and greatest. $1 component or null,
-- $2 since, $3 texts that mean an error, $4 limit; rows of `ComponentSummary`.
WITH seen AS MATERIALIZED (
    SELECT dense_rank() OVER (ORDER BY source, name, unit) AS series, source, name, unit, text, recorded_at,
           labels -> 'rolled_up' AS hour, figures || jsonb_strip_nulls(jsonb_build_object('value', value)) AS figures
    FROM performance_metrics
    WHERE ($1::text IS NULL OR source = $1) AND recorded_at >= $2 AND (source, name) <> ('mahavishnu', 'roll_up')
), component AS (
    SELECT series, min(source) AS component, min(name) AS metric_type, min(unit) AS unit,
           (array_agg(text ORDER BY recorded_at DESC) FILTER (WHERE text IS NOT NULL))[1] AS state,
           sum(coalesce((hour ->> 'samples')::bigint, 1))::bigint AS samples,
           sum(coalesce(
               (hour ->> 'errors')::float8,
               jsonb_path_query_first(figures, '$.keyvalue() ? (@.key == "error_count" || @.key == "errors").value.double()',
                                      '{}', true)::float8,
               (text = ANY ($3::text[]))::integer, 0))::bigint AS errors,
           min(recorded_at) AS first_at, max(recorded_at) AS last_at
    FROM seen GROUP BY series
), figure AS (
    SELECT series, key, recorded_at, f.value::float8 AS v, hour #> ARRAY['spread', key] AS spread
    FROM seen, jsonb_each(figures) AS f WHERE jsonb_typeof(f.value) = 'number'
), point AS (
    SELECT series, key, v, 1 AS weight, v AS least, v AS greatest FROM figure WHERE spread IS NULL
    UNION ALL
    SELECT series, key,
           CASE WHEN q < 0.5 THEN min + (median - min) * q / 0.5
                WHEN q < 0.95 THEN median + (p95 - median) * (q - 0.5) / 0.45
                ELSE p95 + (max - p95) * (q - 0.95) / 0.05 END,
           count / 20, min, max
    FROM figure, jsonb_to_record(spread) AS (count float8, min float8, median float8, p95 float8, max float8),
         LATERAL (SELECT (n - 0.5) / 20 AS q FROM generate_series(1, 20) AS n) AS q
    WHERE spread IS NOT NULL
), ranked AS (
    SELECT *, sum(weight) OVER (same ORDER BY v) / sum(weight) OVER same AS share FROM point
    WINDOW same AS (PARTITION BY series, key)
), spread AS (
    SELECT series, key, round(sum(weight))::bigint AS count, min(least), max(greatest),
           min(v) FILTER (WHERE share > 0.4999) AS median, min(v) FILTER (WHERE share > 0.9499) AS p95
    FROM ranked GROUP BY series, key
), last AS (
    SELECT series, key, (array_agg(v ORDER BY recorded_at DESC))[1] AS last,
           CASE WHEN key ~ '^(count|errors)$|_count$' THEN sum(v) END AS total
    FROM figure GROUP BY series, key
), numbers AS (
    SELECT series, jsonb_object_agg(key, jsonb_strip_nulls(jsonb_build_object(
               'count', count, 'min', min, 'median', median, 'p95', p95, 'max', max, 'last', last, 'total', total))) AS figures
    FROM spread JOIN last USING (series, key) GROUP BY series
)
SELECT component, metric_type, unit, state, samples, errors, first_at, last_at, coalesce(figures, '{}') AS figures
FROM component LEFT JOIN numbers USING (series) ORDER BY series LIMIT $4;

-- plot_metrics --
-- The medians of what was measured, by spans of time. $1 component or null, $2 since, $3 length of a span; rows of
-- (component, type, unit, figure, begin of the span, median).
SELECT source AS component, name AS metric_type, unit, key AS figure, date_bin($3::interval, recorded_at, $2) AS at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY f.value::float8) AS median
FROM performance_metrics,
     jsonb_each(figures || jsonb_strip_nulls(jsonb_build_object('value', performance_metrics.value))) AS f
WHERE ($1::text IS NULL OR source = $1) AND recorded_at >= $2 AND jsonb_typeof(f.value) = 'number'
    AND (source, name) <> ('mahavishnu', 'roll_up')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;

-- adapter_runs --
-- How the runs of engines ended. $1 since, $2 statuses that mean an error; rows of `AdapterRuns`.
WITH run AS (
    SELECT adapter, status, coalesce(finished_at, started_at) AS at FROM workflow_executions WHERE adapter = 'prefect'
    UNION ALL
    SELECT 'llamaindex', status, coalesce(finished_at, started_at) FROM rag_ingestions WHERE kind = 'repository'
    UNION ALL
    SELECT 'agno', (array_agg(t.metadata ->> 'status' ORDER BY t.position DESC))[1], max(t.occurred_at)
    FROM agent_conversations t JOIN memories m ON m.id = t.memory_id
    WHERE m.source_system = 'agno' AND t.metadata ? 'run_id' AND t.occurred_at >= $1
    GROUP BY t.metadata ->> 'run_id'
)
SELECT adapter, count(*) AS runs, count(*) FILTER (WHERE status = ANY ($2::text[])) AS errors,
       (array_agg(status ORDER BY at DESC))[1] AS last_status, max(at) AS last_at
FROM run WHERE at >= $1 GROUP BY adapter;

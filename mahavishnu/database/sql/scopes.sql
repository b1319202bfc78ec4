-- ensure_scope --
-- Find or make the caller's own scope. $1 visibility, $2 project id or null, $3 collection; scope_no.
WITH found AS (
    SELECT scope_no FROM scopes
    WHERE owner = current_user AND visibility = $1 AND project_id IS NOT DISTINCT FROM $2::uuid AND collection = $3
), made AS (
    INSERT INTO scopes (visibility, project_id, collection) SELECT $1, $2::uuid, $3
    WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT ON CONSTRAINT scopes_identity DO NOTHING RETURNING scope_no
)
SELECT scope_no FROM found UNION ALL SELECT scope_no FROM made;

-- select_scopes --
-- Visible scopes. $1 collections or null, $2 project ids or null; (scope_no, collection).
SELECT scope_no, collection FROM scopes
WHERE ($1::text[] IS NULL OR collection = ANY ($1)) AND ($2::uuid[] IS NULL OR project_id = ANY ($2));

-- count_in_scopes --
-- How many live memories the scopes hold, counting no further than $2. $1 scopes; one number.
SELECT count(*) FROM (
    SELECT FROM memories WHERE scope_no = ANY ($1::integer[]) AND superseded_by IS NULL LIMIT $2) AS counted;

-- find_own_project --
-- One's own project by name. $1 name; id or no row.
SELECT id FROM projects WHERE name = $1 AND owner = current_user;

-- find_project --
-- One visible project by name, one's own first. $1 name; (id, owner).
SELECT id, owner FROM projects WHERE name = $1 ORDER BY owner <> current_user, created_at LIMIT 1;

-- list_project_names --
-- Names of all visible projects, for suggestions; (name).
SELECT DISTINCT name FROM projects ORDER BY name;

-- add_project --
-- Make a project of one's own unless its name is taken. $1 id, $2 name; id or no row.
INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT projects_owner_name DO NOTHING RETURNING id;

-- find_bare_project --
-- One's own project by name that nothing ties to a folder yet. $1 name; id or no row.
SELECT p.id FROM projects p
WHERE p.name = $1 AND p.owner = current_user AND NOT EXISTS (SELECT FROM project_aliases a WHERE a.project_id = p.id);

-- find_project_by_alias --
-- Projects known by any of the aliases, strongest kind first. $1 kinds, $2 values; (id, name, kind, value).
SELECT p.id, p.name, a.kind, a.value
FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
JOIN project_aliases a USING (kind, value)
JOIN projects p ON p.id = a.project_id
ORDER BY array_position(ARRAY['path', 'remote', 'root'], a.kind), p.created_at;

-- add_project_alias --
-- Note another way to recognise a project. $1 project id, $2 kind, $3 value; no rows.
INSERT INTO project_aliases (project_id, kind, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

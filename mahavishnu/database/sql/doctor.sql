-- describe_server --
-- What the server is and what its clock says; (server, major, vector, offered, sees_all, now).
SELECT current_setting('server_version') AS server,
       current_setting('server_version_num')::integer / 10000 AS major,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS offered,
       (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS sees_all,
       clock_timestamp() AS now;

-- find_future --
-- Visible memories whose writer's clock was ahead by more than $1, counting no further than 1,000; found by their ids, which begin with the time. $1 interval; (memories, newest).
SELECT count(*) AS memories, max(stored_at) AS newest
FROM (SELECT stored_at FROM memories
      WHERE id > (lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
        AND stored_at > now() + $1 LIMIT 1000) AS ahead;

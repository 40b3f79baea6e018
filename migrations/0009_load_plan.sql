-- Why: snapshots by address took 205 ms for 100 of 20,000 where 0004 was applied in its first form (a plain join, planned without
--   statistics, read the lane's whole part of the index for every address). 0004 was mended in place; this brings databases that
--   had run it already to the same plan, and keeps that plan for the life of a connection.
-- Lock: none; a function.
-- Running hosts: keep working.

CREATE OR REPLACE FUNCTION load_actors(p_service text, p_lane int, p_kinds text[], p_keys text[])
  RETURNS TABLE (kind text, key text, sequence bigint, status "char", body bytea, ended_at_ms bigint)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM assert_ours(p_service);
  RETURN QUERY SELECT x.* FROM unnest(p_kinds, p_keys) w(kind, key) CROSS JOIN LATERAL (
    SELECT a.kind, a.key, a.sequence, a.status, a.body, a.ended_at_ms FROM actor a
    WHERE a.service = p_service AND a.lane = p_lane AND a.kind = w.kind COLLATE "C" AND a.key = w.key COLLATE "C" OFFSET 0) x;
END $$;

-- In the order of its index, and never sorted: the window is a few of many.
ALTER FUNCTION next_timers(text, int, bigint, text, text, text, int) SET enable_sort = off;

-- Why: the turns of one actor are found in the journal without reading those of all others: each entry says how long before it the
--   actor's turn before was (`$ago`, ms, in the event), and the actor's row when its last one was. A lane's clock never goes back,
--   so a time is found in its journal by halving. An actor that comes back into memory brings that time with it.
-- Lock: none that matters; a function.
-- Running hosts: keep working; they do not read the new column.

DROP FUNCTION load_actors(text, int, text[], text[]);
CREATE FUNCTION load_actors(p_service text, p_lane int, p_kinds text[], p_keys text[])
  RETURNS TABLE (kind text, key text, sequence bigint, status "char", body bytea, ended_at_ms bigint, updated_at_ms bigint)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM assert_ours(p_service);
  RETURN QUERY SELECT x.* FROM unnest(p_kinds, p_keys) w(kind, key) CROSS JOIN LATERAL (
    SELECT a.kind, a.key, a.sequence, a.status, a.body, a.ended_at_ms, a.updated_at_ms FROM actor a
    WHERE a.service = p_service AND a.lane = p_lane AND a.kind = w.kind COLLATE "C" AND a.key = w.key COLLATE "C" OFFSET 0) x;
END $$;
GRANT EXECUTE ON FUNCTION load_actors(text, int, text[], text[]) TO unrip_service;

-- Why: all actors of a lane are read a page at a time. Through the view of schema `seen` each page sorted all that was left of the
--   lane: a view with a security barrier passes no order on (400,000 actors took 142 s, 8 of them ours).
-- Lock: none; a function.
-- Running hosts: keep working.

-- The next actors of a lane after a place in the order of kind and key, for whom the views would show them to.
CREATE FUNCTION stored_actors(p_service text, p_lane int, p_kind text, p_key text, p_limit int)
  RETURNS TABLE (kind text, key text, sequence bigint, status "char", body bytea, ended_at_ms bigint)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
  IF seen_service() IS NULL OR seen_service() NOT IN ('*', p_service) THEN
    RAISE EXCEPTION 'role % does not see service %', session_user, p_service USING ERRCODE = '42501';
  END IF;
  RETURN QUERY SELECT a.kind, a.key, a.sequence, a.status, a.body, a.ended_at_ms FROM actor a
    WHERE a.service = p_service AND a.lane = p_lane AND (a.kind, a.key) > (p_kind COLLATE "C", p_key COLLATE "C")
    ORDER BY a.kind, a.key LIMIT p_limit;
END $$;
GRANT EXECUTE ON FUNCTION stored_actors(text, int, text, text, int) TO unrip_service, unrip_operator;

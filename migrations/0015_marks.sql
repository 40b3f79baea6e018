-- Why: a mark is kept for each incarnation of each source, and every restart of a feed is a new one: those that no record can
--   come for any more go.
-- Lock: none; a function.
-- Running hosts: keep working.

-- A mark goes when its last record is below the start of the log and its incarnation is over: a lane source has a newer
-- one, a process is gone.
CREATE FUNCTION sweep_marks(p_service text, p_lane int, p_topics text[], p_lows bigint[]) RETURNS TABLE (topic text, source text, incarnation uuid)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM assert_ours(p_service);
  RETURN QUERY
  DELETE FROM mark m USING unnest(p_topics, p_lows) u(topic, low)
  WHERE m.service = p_service AND m.lane = p_lane AND m.topic = u.topic AND m.at_offset < u.low
    AND CASE WHEN strpos(m.source, '#') > 0
      THEN NOT EXISTS (SELECT FROM process p WHERE p.process::text = split_part(m.source, '#', 2))
      ELSE EXISTS (SELECT FROM mark n WHERE n.service = m.service AND n.lane = m.lane AND n.topic = m.topic AND n.source = m.source
        AND n.incarnation > m.incarnation) END
  RETURNING m.topic, m.source, m.incarnation;
END $$;
GRANT EXECUTE ON FUNCTION sweep_marks(text, int, text[], bigint[]) TO unrip_service;

-- Why: a parked event that fails again is held since then, whoever owns the lane: only its owner's memory knew it, and after a takeover
--   `--since` and whoever waits for the end of a replay were told the time of its first failure. And an actor that has ended stays
--   while an event of it is parked: let go after the sweep, it would begin the actor anew.
-- Lock: none; functions.
-- Running hosts: keep working.

-- As in 0011, but for `at`.
CREATE OR REPLACE FUNCTION commit_letters(
  p_outcome text, p_service text, p_lane int, p_epoch bigint, p_batch bigint,
  l_turn bigint[], l_waits boolean[], l_cause text[], l_ordered text[], l_done text[]   -- '' leaves a text as it is
) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
  touched int;
BEGIN
  IF p_outcome <> 'done' THEN RETURN p_outcome; END IF;
  PERFORM assert_ours(p_service);
  -- Only beside a commit: the lane row is locked by it, and stands at its batch.
  IF NOT EXISTS (SELECT FROM lane WHERE service = p_service AND lane = p_lane AND epoch = p_epoch AND batch = p_batch) THEN
    RAISE EXCEPTION 'lane %/%: no batch % of epoch % to resolve parked events with', p_service, p_lane, p_batch, p_epoch USING ERRCODE = '23000';
  END IF;
  UPDATE parked q SET waits = u.waits, cause = coalesce(nullif(u.cause, ''), q.cause), ordered = coalesce(nullif(u.ordered, ''), q.ordered),
    done = nullif(u.done, ''), at = CASE WHEN u.cause <> '' THEN statement_timestamp() ELSE q.at END
  FROM unnest(l_turn, l_waits, l_cause, l_ordered, l_done) u(turn, waits, cause, ordered, done)
  WHERE q.service = p_service AND q.lane = p_lane AND q.turn = u.turn AND q.done IS NULL;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> cardinality(l_turn) THEN
    RAISE EXCEPTION 'lane %/%: batch % resolves % parked events, and % of them are open', p_service, p_lane, p_batch, cardinality(l_turn), touched
      USING ERRCODE = '23000';
  END IF;
  RETURN p_outcome;
END $$;

-- As in 0008, but for actors with parked events.
CREATE OR REPLACE FUNCTION sweep(p_service text, p_before_ms bigint, p_limit int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp SET enable_seqscan = off AS $$
DECLARE
  n int;
  gone int := 0;
BEGIN
  PERFORM assert_ours(p_service);
  DELETE FROM actor WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM actor a
    WHERE a.service = p_service AND a.lane IN (SELECT lane FROM lane WHERE service = p_service) AND a.ended_at_ms < p_before_ms
      AND NOT EXISTS (SELECT FROM parked p
        WHERE p.service = a.service AND p.lane = a.lane AND p.kind = a.kind AND p.key = a.key AND p.done IS NULL) LIMIT p_limit));
  GET DIAGNOSTICS n = ROW_COUNT;
  gone := gone + n;
  DELETE FROM effect WHERE ctid = ANY (ARRAY(SELECT e.ctid FROM effect e
    WHERE e.service = p_service AND e.state NOT IN ('p', 'u') AND e.updated_at_ms < p_before_ms LIMIT p_limit));
  GET DIAGNOSTICS n = ROW_COUNT;
  gone := gone + n;
  WITH old AS (
    SELECT o.id FROM operator_order o WHERE o.service = p_service AND o.at < to_timestamp(p_before_ms / 1000.0)
      AND NOT EXISTS (SELECT FROM order_lane l WHERE l.id = o.id AND l.done_turn IS NULL) ORDER BY o.at LIMIT p_limit
  ), answers AS (DELETE FROM order_lane WHERE id IN (SELECT id FROM old))
  DELETE FROM operator_order WHERE id IN (SELECT id FROM old);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN gone + n;
END $$;

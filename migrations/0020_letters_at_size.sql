-- Why: resolving parked events cost the product of a batch's letters and the lane's parked rows: 5,000 beside 15,000 took longer than the
--   30 s that a statement may, and the lane tried the same batch for ever.
-- Lock: none; a function.
-- Running hosts: keep working.

-- As in 0018, but for its plan: the rows by the index and then one hash join, whatever the planner thinks of the table. With nested loops
-- it took every parked row of the lane for the outer side, and looked through all letters of the batch for each.
CREATE OR REPLACE FUNCTION commit_letters(
  p_outcome text, p_service text, p_lane int, p_epoch bigint, p_batch bigint,
  l_turn bigint[], l_waits boolean[], l_cause text[], l_ordered text[], l_done text[]   -- '' leaves a text as it is
) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_nestloop = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
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
  WHERE q.service = p_service AND q.lane = p_lane AND q.turn = ANY (l_turn) AND q.turn = u.turn AND q.done IS NULL;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> cardinality(l_turn) THEN
    RAISE EXCEPTION 'lane %/%: batch % resolves % parked events, and % of them are open', p_service, p_lane, p_batch, cardinality(l_turn), touched
      USING ERRCODE = '23000';
  END IF;
  RETURN p_outcome;
END $$;

-- Why: parked events are let go or dropped by an order, and what waited behind one goes on in its order. The first open row of an
--   actor says how it stands: `waits` false, it was tried and holds the others; true, it is under way again, and a lane's owner
--   takes it and then the next. So whoever owns the lane goes on where the last one was.
-- Lock: ACCESS EXCLUSIVE on parked and its partitions for the moment of ALTER and while its index is built; it is small, and a
--   commit that parks something waits that long.
-- Running hosts: keep working. What they park behind another event meanwhile needs an order each.

ALTER TABLE parked ADD COLUMN at timestamptz NOT NULL DEFAULT statement_timestamp();
ALTER TABLE parked ADD COLUMN waits boolean NOT NULL DEFAULT false;
ALTER TABLE parked ADD COLUMN ordered text;          -- the order that let it go: which, who, why
UPDATE parked SET at = day::timestamp AT TIME ZONE 'UTC';
UPDATE parked SET waits = true WHERE cause LIKE 'waiting behind a parked event%';
UPDATE parked SET done = 'the order was answered with it' WHERE kind = '' AND origin LIKE 'order %' AND done IS NULL;

DROP INDEX parked_open;
CREATE INDEX parked_open ON parked (service, lane, kind, key, turn) WHERE done IS NULL;

SET LOCAL ROLE unrip_reader;
CREATE OR REPLACE VIEW seen.parked WITH (security_barrier) AS SELECT * FROM unrip.parked;
SET LOCAL ROLE unrip_owner;

-- Actors with events that wait, and each record that no actor was found for.
CREATE FUNCTION parked_actors(p_service text, p_lane int)
  RETURNS TABLE (kind text, key text, turn bigint, waits boolean, cause text, at_ms bigint, open bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET enable_seqscan = off AS $$
  SELECT assert_ours(p_service);
  SELECT DISTINCT ON (p.kind, p.key, CASE WHEN p.kind = '' THEN p.turn END)
    p.kind, p.key, p.turn, p.waits, left(p.cause, 500), floor(extract(epoch FROM p.at) * 1000)::bigint,
    count(*) OVER (PARTITION BY p.kind, p.key, CASE WHEN p.kind = '' THEN p.turn END)
  FROM parked p WHERE p.service = p_service AND p.lane = p_lane AND p.done IS NULL
  ORDER BY p.kind, p.key, CASE WHEN p.kind = '' THEN p.turn END, p.turn
$$;

-- The first open events of these actors, and these records, in the order of their turns; at least one, then up to p_bytes of them.
CREATE FUNCTION next_letters(p_service text, p_lane int, p_kinds text[], p_keys text[], p_turns bigint[], p_limit int, p_bytes bigint)
  RETURNS TABLE (turn bigint, kind text, key text, origin text, ordered text, event bytea)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp SET plan_cache_mode = force_generic_plan
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM assert_ours(p_service);
  RETURN QUERY SELECT f.turn, f.kind, f.key, f.origin, f.ordered, f.event FROM (
    SELECT x.*, sum(length(x.event)) OVER (ORDER BY x.turn) AS bytes, row_number() OVER (ORDER BY x.turn) AS n
    FROM unnest(p_kinds, p_keys, p_turns) w(kind, key, turn) CROSS JOIN LATERAL (
      SELECT p.turn, p.kind, p.key, p.origin, p.ordered, p.event FROM parked p
      WHERE p.service = p_service AND p.lane = p_lane AND p.kind = w.kind COLLATE "C" AND p.key = w.key COLLATE "C" AND p.done IS NULL
        AND (w.kind <> '' OR p.turn = w.turn)
      ORDER BY p.turn LIMIT p_limit) x
  ) f WHERE f.n <= p_limit AND (f.n = 1 OR f.bytes <= p_bytes) ORDER BY f.turn;
END $$;

-- Called as `SELECT commit_letters(commit_batch(...), ...)`: one statement, so the fence stands before it and one fsync makes both
-- durable. Every row has to be there and open: an event is resolved once.
CREATE FUNCTION commit_letters(
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
    done = nullif(u.done, '')
  FROM unnest(l_turn, l_waits, l_cause, l_ordered, l_done) u(turn, waits, cause, ordered, done)
  WHERE q.service = p_service AND q.lane = p_lane AND q.turn = u.turn AND q.done IS NULL;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> cardinality(l_turn) THEN
    RAISE EXCEPTION 'lane %/%: batch % resolves % parked events, and % of them are open', p_service, p_lane, p_batch, cardinality(l_turn), touched
      USING ERRCODE = '23000';
  END IF;
  RETURN p_outcome;
END $$;

GRANT EXECUTE ON FUNCTION parked_actors(text, int), next_letters(text, int, text[], text[], bigint[], int, bigint),
  commit_letters(text, text, int, bigint, bigint, bigint[], boolean[], text[], text[], text[]) TO unrip_service;

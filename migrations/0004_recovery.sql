-- Why: what a lane's new owner reads, and the snapshots, timers and orders that it reads while it runs.
-- Lock: none; functions only.
-- Running hosts: keep working.
--
-- recover_* are called in one REPEATABLE READ transaction, the lane row with its epoch first.

CREATE FUNCTION recover_lane(p_service text, p_lane int, p_epoch bigint) RETURNS lane
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  found_row lane;
BEGIN
  PERFORM assert_ours(p_service);
  SELECT * INTO found_row FROM lane WHERE service = p_service AND lane = p_lane;
  IF NOT FOUND THEN RAISE EXCEPTION 'lane %/% does not exist', p_service, p_lane USING ERRCODE = '23000'; END IF;
  IF found_row.epoch <> p_epoch OR found_row.owner IS NULL THEN
    RAISE EXCEPTION 'lane %/%: epoch % is not its owner''s %', p_service, p_lane, p_epoch, found_row.epoch USING ERRCODE = 'UR001';
  END IF;
  RETURN found_row;
END $$;

CREATE FUNCTION recover_inputs(p_service text, p_lane int) RETURNS SETOF input
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM input WHERE service = p_service AND lane = p_lane
$$;

CREATE FUNCTION recover_marks(p_service text, p_lane int) RETURNS SETOF mark
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM mark WHERE service = p_service AND lane = p_lane
$$;

CREATE FUNCTION recover_sent(p_service text, p_lane int) RETURNS SETOF sent
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM sent WHERE service = p_service AND lane = p_lane
$$;

CREATE FUNCTION recover_effects(p_service text, p_lane int) RETURNS SETOF effect
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM effect WHERE service = p_service AND lane = p_lane AND state IN ('p', 'u') ORDER BY effect
$$;

-- Batches above the lane's published one that have something to publish, in order.
CREATE FUNCTION recover_outbox(p_service text, p_lane int, p_published bigint) RETURNS SETOF outbox
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM outbox WHERE service = p_service AND lane = p_lane AND batch > p_published AND blob IS NOT NULL ORDER BY batch
$$;

CREATE FUNCTION recover_parked(p_service text, p_lane int) RETURNS TABLE (kind text, key text, waiting bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT kind, key, count(*) FROM parked WHERE service = p_service AND lane = p_lane AND done IS NULL AND kind <> '' GROUP BY 1, 2
$$;

-- The next timers after a place in the order of (due_ms, kind, key, timer).
CREATE FUNCTION next_timers(p_service text, p_lane int, p_due_ms bigint, p_kind text, p_key text, p_timer text, p_limit int) RETURNS SETOF timer
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT * FROM timer WHERE service = p_service AND lane = p_lane AND (due_ms, kind, key, timer) > (p_due_ms, p_kind, p_key, p_timer)
  ORDER BY due_ms, kind, key, timer LIMIT p_limit
$$;

-- Snapshots by address. The lookup is one index probe an address, whatever the planner thinks of the table's size.
CREATE FUNCTION load_actors(p_service text, p_lane int, p_kinds text[], p_keys text[])
  RETURNS TABLE (kind text, key text, sequence bigint, status "char", body bytea, ended_at_ms bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
  SELECT assert_ours(p_service);
  -- One index search an address: as a plain join, and with the table's statistics still empty, it was planned the other way round
  -- (364 ms for 1,000 of 3,000 actors, against 2.4).
  SELECT x.* FROM unnest(p_kinds, p_keys) w(kind, key) CROSS JOIN LATERAL (
    SELECT a.kind, a.key, a.sequence, a.status, a.body, a.ended_at_ms FROM actor a
    WHERE a.service = p_service AND a.lane = p_lane AND a.kind = w.kind COLLATE "C" AND a.key = w.key COLLATE "C" OFFSET 0) x
$$;

-- Orders. NOTIFY goes to the service's own channel, at insertion and when a lane has committed one.
CREATE FUNCTION order_channel(p_service text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 'unrip_order_' || replace(p_service, '-', '_');

CREATE FUNCTION insert_order(p_service text, p_by text, p_reason text, p_body jsonb, p_expires_in_ms bigint, p_lane int) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  made bigint;
BEGIN
  PERFORM assert_ours(p_service);
  INSERT INTO operator_order (service, expires_at, "by", reason, body)
  VALUES (p_service, clock_timestamp() + p_expires_in_ms * interval '1 ms', p_by, p_reason, p_body) RETURNING id INTO made;
  INSERT INTO order_lane (service, lane, id) SELECT l.service, l.lane, made FROM lane l
  WHERE l.service = p_service AND (p_lane IS NULL OR l.lane = p_lane);
  IF NOT FOUND THEN RAISE EXCEPTION '% has no lane %', p_service, coalesce(p_lane::text, 'at all') USING ERRCODE = '23000'; END IF;
  PERFORM pg_notify(order_channel(p_service), made::text);
  RETURN made;
END $$;

CREATE FUNCTION open_orders(p_service text, p_lane int)
  RETURNS TABLE (id bigint, at_ms bigint, expires_at_ms bigint, "by" text, reason text, body jsonb)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT o.id, floor(extract(epoch FROM o.at) * 1000)::bigint, floor(extract(epoch FROM o.expires_at) * 1000)::bigint, o."by", o.reason, o.body
  FROM order_lane l JOIN operator_order o USING (id) WHERE l.service = p_service AND l.lane = p_lane AND l.done_turn IS NULL ORDER BY o.id
$$;

CREATE FUNCTION order_answers(p_service text, p_id bigint) RETURNS TABLE (lane int, answer jsonb)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT assert_ours(p_service);
  SELECT l.lane, l.answer FROM order_lane l WHERE l.service = p_service AND l.id = p_id ORDER BY l.lane
$$;

GRANT EXECUTE ON FUNCTION recover_lane(text, int, bigint), recover_inputs(text, int), recover_marks(text, int), recover_sent(text, int),
  recover_effects(text, int), recover_outbox(text, int, bigint), recover_parked(text, int),
  next_timers(text, int, bigint, text, text, text, int), load_actors(text, int, text[], text[]),
  insert_order(text, text, text, jsonb, bigint, int), open_orders(text, int), order_answers(text, bigint) TO unrip_service;

-- Why: who may write a lane is decided where the epoch is. Processes renew a lease on PostgreSQL's clock; lanes name their owner.
-- Lock: none; functions only.
-- Running hosts: keep working.

-- 42501 unless the session's own role is the service's.
CREATE FUNCTION assert_ours(p_service text) RETURNS void
  LANGUAGE plpgsql STABLE SET search_path = unrip, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM service s WHERE s.service = p_service AND s.role = session_user) THEN
    RAISE EXCEPTION 'role % does not own service %', session_user, p_service USING ERRCODE = '42501';
  END IF;
END $$;

CREATE FUNCTION register_process(p_process uuid, p_service text, p_release text, p_url text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_ours(p_service);
  DELETE FROM process WHERE service = p_service AND expires_at < clock_timestamp() - interval '1 day';
  INSERT INTO process (process, service, release, url, state, lease_ms, expires_at)
  VALUES (p_process, p_service, p_release, p_url, 'live', 1500, clock_timestamp() + interval '1500 ms');
END $$;

-- Extends the lease and tells how the service stands. `lanes` is [{lane, owner, expired, epoch}].
CREATE FUNCTION renew_process(p_process uuid, p_state text, p_lease_ms int)
  RETURNS TABLE (now_ms bigint, live int, lanes json, open_orders int[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  t timestamptz := clock_timestamp();
  s text;
BEGIN
  UPDATE process p SET state = p_state, lease_ms = p_lease_ms, expires_at = t + p_lease_ms * interval '1 ms'
  WHERE p.process = p_process RETURNING p.service INTO s;
  IF s IS NULL THEN RAISE EXCEPTION 'process % is not registered', p_process USING ERRCODE = '23000'; END IF;
  PERFORM assert_ours(s);
  RETURN QUERY SELECT
    floor(extract(epoch FROM t) * 1000)::bigint,
    (SELECT count(*)::int FROM process p WHERE p.service = s AND p.state = 'live' AND p.expires_at > t),
    (SELECT coalesce(json_agg(json_build_object('lane', l.lane, 'owner', l.owner, 'epoch', l.epoch,
        'expired', l.owner IS NOT NULL AND (o.expires_at IS NULL OR o.expires_at <= t)) ORDER BY l.lane), '[]')
      FROM lane l LEFT JOIN process o ON o.process = l.owner WHERE l.service = s),
    (SELECT coalesce(array_agg(DISTINCT q.lane), '{}') FROM order_lane q WHERE q.service = s AND q.done_turn IS NULL);
END $$;

CREATE FUNCTION deregister_process(p_process uuid) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  s text;
BEGIN
  DELETE FROM process p WHERE p.process = p_process RETURNING p.service INTO s;
  IF s IS NULL THEN RETURN; END IF;
  PERFORM assert_ours(s);
  UPDATE lane SET owner = NULL WHERE service = s AND owner = p_process;
END $$;

-- The identity of this storage: the timeline is that of the WAL being written, which a promotion changes at once
-- (the control file's only at the next checkpoint).
CREATE FUNCTION storage_identity(OUT system_id text, OUT timeline text)
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
  SELECT (pg_control_system()).system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8)
$$;

-- Gives every lane of the fleet a new incarnation, no owner, and an epoch above any that the lost time may have handed out.
CREATE FUNCTION reincarnate_all() RETURNS void
  LANGUAGE plpgsql SET search_path = unrip, pg_temp AS $$
BEGIN
  UPDATE lane SET epoch = epoch + 1000000, owner = NULL, digest = NULL, incarnation = uuidv7();
  UPDATE fleet SET (system_id, timeline) = (SELECT i.system_id, i.timeline FROM storage_identity() i);
END $$;

-- A host found out that storage went back (UR003, or Kafka's commit above ours). Only the first that tells of this
-- incarnation changes anything.
CREATE FUNCTION reincarnate(p_service text, p_lane int, p_incarnation uuid) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_ours(p_service);
  PERFORM FROM fleet FOR UPDATE;
  IF NOT EXISTS (SELECT FROM lane WHERE service = p_service AND lane = p_lane AND incarnation = p_incarnation) THEN RETURN false; END IF;
  PERFORM reincarnate_all();
  RETURN true;
END $$;

-- Takes a lane and answers its new epoch; null: somebody else has it. 'free' takes an ownerless lane and never waits;
-- 'expired' waits for a commit in flight and then takes it from an owner whose lease has run out. What the process itself
-- owns already it may take again (the answer to an earlier take was lost).
CREATE FUNCTION take_lane(p_process uuid, p_service text, p_lane int, p_how text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  me process;
  found_owner uuid;
  taken bigint;
  is_ours boolean;
BEGIN
  PERFORM assert_ours(p_service);
  SELECT * INTO me FROM process p WHERE p.process = p_process AND p.service = p_service;
  IF NOT FOUND THEN RAISE EXCEPTION 'process % is not registered for %', p_process, p_service USING ERRCODE = '23000'; END IF;
  IF NOT EXISTS (SELECT FROM lane WHERE service = p_service AND lane = p_lane) THEN
    RAISE EXCEPTION 'lane %/% does not exist', p_service, p_lane USING ERRCODE = '23000';
  END IF;
  IF EXISTS (SELECT FROM fleet f, storage_identity() i WHERE (f.system_id, f.timeline) <> (i.system_id, i.timeline)) THEN
    PERFORM FROM fleet FOR UPDATE;
    IF EXISTS (SELECT FROM fleet f, storage_identity() i WHERE (f.system_id, f.timeline) <> (i.system_id, i.timeline)) THEN
      PERFORM reincarnate_all();
    END IF;
  END IF;
  IF me.expires_at <= clock_timestamp() THEN RETURN NULL; END IF;
  IF p_how = 'free' THEN
    SELECT owner INTO found_owner FROM lane WHERE service = p_service AND lane = p_lane FOR UPDATE SKIP LOCKED;
  ELSE
    SELECT owner INTO found_owner FROM lane WHERE service = p_service AND lane = p_lane FOR UPDATE;
  END IF;
  IF NOT FOUND THEN RETURN NULL; END IF;
  is_ours := found_owner IS NULL OR found_owner = p_process;
  IF NOT is_ours AND (p_how <> 'expired'
    OR clock_timestamp() < pg_postmaster_start_time() + me.lease_ms * interval '1 ms'
    OR EXISTS (SELECT FROM process o WHERE o.process = found_owner AND o.expires_at > clock_timestamp())) THEN RETURN NULL; END IF;
  UPDATE lane SET owner = p_process, epoch = epoch + 1, digest = NULL, release = me.release
  WHERE service = p_service AND lane = p_lane RETURNING epoch INTO taken;
  RETURN taken;
END $$;

CREATE FUNCTION release_lane(p_service text, p_lane int, p_epoch bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
BEGIN
  PERFORM assert_ours(p_service);
  UPDATE lane SET owner = NULL WHERE service = p_service AND lane = p_lane AND epoch = p_epoch;
END $$;

-- The lanes of a service, made on first use: 1, or as many as the fleet has. Another number is refused (23000).
CREATE FUNCTION service_lanes(p_service text, p_wanted int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  stored int;
  allowed int;
BEGIN
  PERFORM assert_ours(p_service);
  PERFORM FROM service WHERE service = p_service FOR UPDATE;
  SELECT count(*) INTO stored FROM lane WHERE service = p_service;
  SELECT lanes INTO allowed FROM fleet;
  IF stored = 0 AND p_wanted IN (1, allowed) THEN
    INSERT INTO lane (service, lane) SELECT p_service, i FROM generate_series(0, p_wanted - 1) i;
  ELSIF stored <> p_wanted THEN
    RAISE EXCEPTION '% has % lanes, not %', p_service, CASE stored WHEN 0 THEN allowed ELSE stored END, p_wanted USING ERRCODE = '23000';
  END IF;
  RETURN p_wanted;
END $$;

GRANT EXECUTE ON FUNCTION register_process(uuid, text, text, text), renew_process(uuid, text, int), deregister_process(uuid),
  take_lane(uuid, text, int, text), release_lane(text, int, bigint), service_lanes(text, int), reincarnate(text, int, uuid) TO unrip_service;

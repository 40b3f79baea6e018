-- Why: what an actor has stored is rewritten where its machine's version changes, without a turn: an open effect may then have
--   another name, and the actor's row must still say when its last turn was (the journal is searched by it).
-- Lock: none; a function.
-- Running hosts: keep working.

-- As in 0010, but for C7. A row written with the sequence that it has was rewritten: it keeps the time of its last turn.
CREATE OR REPLACE FUNCTION commit_batch(
  p_service text, p_lane int, p_epoch bigint, p_batch bigint, p_digest bytea, p_turn bigint, p_now_ms bigint, p_published bigint,
  p_halted jsonb,                                   -- NULL leaves it, JSON null clears it
  p_release text, p_code_hash bytea, p_attached bytea, p_outbox bytea,
  a_kind text[], a_key text[], a_sequence bigint[], a_status "char"[], a_body bytea[], a_ended bigint[],
  j_kind text[], j_key text[], j_sequence bigint[], j_now bigint[], j_event bytea[], j_base bytea[], j_outcome "char"[], j_hash bytea[],
  t_kind text[], t_key text[], t_timer text[], t_token bigint[], t_due bigint[], t_event bytea[],
  o_kind text[], o_key text[], o_timer text[],
  e_effect text[], e_kind text[], e_key text[], e_name text[], e_mode "char"[], e_state "char"[], e_token bigint[], e_not_after bigint[],
  e_ask_at bigint[], e_asked int[], e_body bytea[],
  i_topic text[], i_entered bigint[], i_entered_at bigint[], i_next bigint[],
  m_topic text[], m_source text[], m_incarnation uuid[], m_position bigint[], m_at_offset bigint[], m_jump boolean[],
  s_topic text[], s_partition int[], s_incarnation uuid[], s_position bigint[],
  r_id bigint[], r_answer jsonb[],
  p_park_turn bigint[], p_park_kind text[], p_park_key text[], p_park_cause text[], p_park_origin text[], p_park_event bytea[]
) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
  l record;
  d date;
  touched int;
BEGIN
  IF NOT EXISTS (SELECT FROM service s WHERE s.service = p_service AND s.role = session_user) THEN
    RAISE EXCEPTION 'role % does not own service %', session_user, p_service USING ERRCODE = '42501';
  END IF;
  SELECT owner, epoch, batch, digest, turn, incarnation INTO l FROM lane WHERE service = p_service AND lane = p_lane FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'lane %/% does not exist', p_service, p_lane USING ERRCODE = '23000'; END IF;
  IF l.epoch <> p_epoch OR l.owner IS NULL THEN
    RAISE EXCEPTION 'lane %/%: epoch % is not its owner''s %', p_service, p_lane, p_epoch, l.epoch USING ERRCODE = 'UR001';
  END IF;
  IF p_batch <= l.batch THEN
    IF p_batch = l.batch AND p_digest = l.digest THEN RETURN 'again'; END IF;
    RAISE EXCEPTION 'lane %/%: batch % is already used with other content', p_service, p_lane, p_batch USING ERRCODE = 'UR002';
  END IF;
  IF p_batch <> l.batch + 1 THEN
    RAISE EXCEPTION 'lane %/%: batch % does not follow %', p_service, p_lane, p_batch, l.batch USING ERRCODE = 'UR003';
  END IF;
  IF p_turn <> l.turn + coalesce(cardinality(j_kind), 0) THEN
    RAISE EXCEPTION 'lane %/%: batch % ends at turn %, not at % + %', p_service, p_lane, p_batch, p_turn, l.turn, coalesce(cardinality(j_kind), 0)
      USING ERRCODE = '23000';
  END IF;
  d := today();

  UPDATE lane SET batch = p_batch, digest = p_digest, turn = p_turn, now_ms = p_now_ms, published = p_published, release = p_release,
    halted = CASE WHEN p_halted IS NULL THEN halted ELSE nullif(p_halted, 'null') END
  WHERE service = p_service AND lane = p_lane;

  IF a_kind IS NOT NULL THEN
    INSERT INTO actor AS x (service, lane, kind, key, sequence, status, body, ended_at_ms, updated_at_ms)
    SELECT p_service, p_lane, u.*, p_now_ms FROM unnest(a_kind, a_key, a_sequence, a_status, a_body, a_ended) u
    ON CONFLICT (service, lane, kind, key) DO UPDATE SET sequence = excluded.sequence, status = excluded.status, body = excluded.body,
      ended_at_ms = excluded.ended_at_ms,
      updated_at_ms = CASE x.sequence WHEN excluded.sequence THEN x.updated_at_ms ELSE excluded.updated_at_ms END;
  END IF;

  IF j_kind IS NOT NULL THEN
    INSERT INTO journal (day, service, lane, turn, turns, batch, kinds, keys, sequences, times, events, bases, outcomes, hashes)
    VALUES (d, p_service, p_lane, p_turn, cardinality(j_kind), p_batch, j_kind, j_key, j_sequence, j_now, j_event, j_base, j_outcome, j_hash);
  END IF;

  IF j_kind IS NOT NULL OR p_outbox IS NOT NULL THEN
    INSERT INTO outbox (day, service, lane, batch, incarnation, code_hash, attached, blob)
    VALUES (d, p_service, p_lane, p_batch, l.incarnation, p_code_hash, p_attached, p_outbox);
  END IF;

  IF o_kind IS NOT NULL THEN
    DELETE FROM timer WHERE ctid = ANY (ARRAY(
      SELECT x.ctid FROM unnest(o_kind, o_key, o_timer) u(kind, key, timer) CROSS JOIN LATERAL (
        SELECT t.ctid FROM timer t WHERE t.service = p_service AND t.lane = p_lane
          AND t.kind = u.kind COLLATE "C" AND t.key = u.key COLLATE "C" AND t.timer = u.timer COLLATE "C" OFFSET 0) x));
  END IF;

  IF t_kind IS NOT NULL THEN
    INSERT INTO timer AS x (service, lane, kind, key, timer, token, due_ms, event)
    SELECT p_service, p_lane, u.* FROM unnest(t_kind, t_key, t_timer, t_token, t_due, t_event) u
    ON CONFLICT (service, lane, kind, key, timer) DO UPDATE SET token = excluded.token, due_ms = excluded.due_ms, event = excluded.event;
  END IF;

  IF e_effect IS NOT NULL THEN
    INSERT INTO effect AS x (service, lane, effect, kind, key, name, mode, state, token, not_after_ms, ask_at_ms, asked, body, updated_at_ms)
    SELECT p_service, p_lane, u.*, p_now_ms
    FROM unnest(e_effect, e_kind, e_key, e_name, e_mode, e_state, e_token, e_not_after, e_ask_at, e_asked, e_body) u
    ON CONFLICT (service, lane, effect) DO UPDATE SET name = excluded.name, state = excluded.state, token = excluded.token,
      not_after_ms = excluded.not_after_ms, ask_at_ms = excluded.ask_at_ms, asked = excluded.asked, body = excluded.body, updated_at_ms = excluded.updated_at_ms;
  END IF;

  IF i_topic IS NOT NULL THEN
    INSERT INTO input AS x (service, lane, topic, entered, entered_at_ms, next)
    SELECT p_service, p_lane, u.* FROM unnest(i_topic, i_entered, i_entered_at, i_next) u
    ON CONFLICT (service, lane, topic) DO UPDATE SET entered = excluded.entered, entered_at_ms = excluded.entered_at_ms, next = excluded.next;
  END IF;

  IF m_topic IS NOT NULL THEN
    INSERT INTO mark AS x (service, lane, topic, source, incarnation, position, at_offset, jump)
    SELECT p_service, p_lane, u.* FROM unnest(m_topic, m_source, m_incarnation, m_position, m_at_offset, m_jump) u
    ON CONFLICT (service, lane, topic, source, incarnation) DO UPDATE
      SET position = excluded.position, at_offset = excluded.at_offset, jump = excluded.jump;
  END IF;

  IF s_topic IS NOT NULL THEN
    INSERT INTO sent AS x (service, lane, topic, partition, incarnation, position)
    SELECT p_service, p_lane, u.* FROM unnest(s_topic, s_partition, s_incarnation, s_position) u
    ON CONFLICT (service, lane, topic, partition) DO UPDATE SET incarnation = excluded.incarnation, position = excluded.position;
  END IF;

  IF r_id IS NOT NULL THEN
    -- A row that is already done keeps its answer; one that does not exist is our bug.
    UPDATE order_lane q SET done_turn = coalesce(q.done_turn, p_turn), answer = CASE WHEN q.done_turn IS NULL THEN u.answer ELSE q.answer END
    FROM unnest(r_id, r_answer) u(id, answer) WHERE q.service = p_service AND q.lane = p_lane AND q.id = u.id;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> cardinality(r_id) THEN
      RAISE EXCEPTION 'lane %/%: batch % answers an order that the lane does not have', p_service, p_lane, p_batch USING ERRCODE = '23000';
    END IF;
    PERFORM pg_notify(order_channel(p_service), '');
  END IF;

  IF p_park_turn IS NOT NULL THEN
    INSERT INTO parked (day, service, lane, turn, kind, key, cause, origin, event)
    SELECT d, p_service, p_lane, u.* FROM unnest(p_park_turn, p_park_kind, p_park_key, p_park_cause, p_park_origin, p_park_event) u;
  END IF;
  RETURN 'done';
END $$;

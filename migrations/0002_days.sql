-- Why: what only grows is partitioned by PostgreSQL's UTC date, so that old days go whole.
-- Lock: CREATE and ATTACH take SHARE UPDATE EXCLUSIVE on the parent; commits go on. (CREATE ... PARTITION OF stalled them for
--   as long as a reader was open.)
-- Running hosts: keep working.

CREATE FUNCTION today() RETURNS date
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (statement_timestamp() AT TIME ZONE 'UTC')::date;

-- Makes the partitions of yesterday to a week ahead that are missing; called at migration and hourly by any process.
-- Without a day's partition a commit fails with 23514 and is tried again: late is slow, and loses nothing.
CREATE FUNCTION ensure_days(ahead int DEFAULT 7) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = unrip, pg_temp AS $$
DECLARE
  parent record;
  d date;
  child text;
  made int := 0;
BEGIN
  IF ahead NOT BETWEEN 1 AND 31 THEN RAISE EXCEPTION 'ahead % is not between 1 and 31', ahead USING ERRCODE = '22023'; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('unrip.ensure_days', 0));
  FOR parent IN
    SELECT n.nspname, c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE pg_get_userbyid(c.relowner) = 'unrip_owner' ORDER BY 1, 2
  LOOP
    FOR i IN -1 .. ahead LOOP
      d := today() + i;
      child := parent.relname || '_' || to_char(d, 'YYYYMMDD');
      CONTINUE WHEN to_regclass(format('%I.%I', parent.nspname, child)) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING GENERATED)',
        parent.nspname, child, parent.nspname, parent.relname);
      EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
        parent.nspname, parent.relname, parent.nspname, child, d, d + 1);
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
GRANT EXECUTE ON FUNCTION ensure_days(int), today() TO unrip_service, unrip_reader, unrip_operator;

-- Why: two failovers in a row can both forget the same: the second also undoes the new names that the first brought, and epochs
--   counted up from what is stored were then given out twice. By the clock they are not.
-- Lock: none; a function.
-- Running hosts: keep working.

-- Gives every lane of the fleet a new incarnation, no owner, and an epoch above any that the lost time may have handed out: takes
-- are far fewer than microseconds. (The thousand is for a clock that was set back.)
CREATE OR REPLACE FUNCTION reincarnate_all() RETURNS void
  LANGUAGE plpgsql SET search_path = unrip, pg_temp AS $$
BEGIN
  UPDATE lane SET epoch = greatest(epoch + 1000, floor(extract(epoch FROM clock_timestamp()) * 1000000)), owner = NULL, digest = NULL, incarnation = uuidv7();
  UPDATE fleet SET (system_id, timeline) = (SELECT i.system_id, i.timeline FROM storage_identity() i);
END $$;

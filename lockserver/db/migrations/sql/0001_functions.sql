-- Functions that tables need before they can be made.

-- A room's window as a range of numbers. Two spans meet only where the room is the same and the
-- windows share an instant: a room's id, read as a 128-bit integer, is worth 10^12 seconds.
-- So a built-in range index can carry "one living tenancy a room", without btree_gist.
CREATE FUNCTION room_span(door uuid, lower timestamptz, upper timestamptz) RETURNS numrange
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN numrange(
    ((('x' || substr(replace(door::text, '-', ''), 1, 16))::bit(64)::bigint::numeric
        * 18446744073709551616
      + ('x' || substr(replace(door::text, '-', ''), 17, 16))::bit(64)::bigint::numeric)
      * 1000000000000) + extract(epoch FROM lower),
    ((('x' || substr(replace(door::text, '-', ''), 1, 16))::bit(64)::bigint::numeric
        * 18446744073709551616
      + ('x' || substr(replace(door::text, '-', ''), 17, 16))::bit(64)::bigint::numeric)
      * 1000000000000) + extract(epoch FROM upper),
    '[)');

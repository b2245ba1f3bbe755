-- The laws that span rows. Functions run as their owner, so that a role's missing SELECT cannot
-- blind a law; names are qualified, so that a search path cannot either.

------------------------------------------------------------------------------------------- L-23
-- A tenancy exists if and only if each occupant has a duty; an ended one also owes a departure
-- duty for each occupant who has a registration. Judged at the commit, on the whole of it.
CREATE FUNCTION law_23_judge(tenancy uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    lease tenancies%ROWTYPE;
    room doors%ROWTYPE;
    people integer;
    wrong integer;
BEGIN
    -- Two transactions that change one tenancy from two sides are judged one after the other,
    -- the second seeing what the first committed.
    SELECT * INTO lease FROM tenancies WHERE id = tenancy FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- foreign keys have taken care of what hung on it
    END IF;
    SELECT * INTO room FROM doors WHERE id = lease.door_id;
    IF room.kind <> 'room' THEN
        RAISE EXCEPTION 'L-23: a gate cannot be leased'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_room';
    END IF;
    IF lease.epoch > room.epoch THEN
        RAISE EXCEPTION 'L-23: the room''s epoch lags behind its tenancy''s'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_epoch';
    END IF;

    SELECT count(*) INTO people FROM occupants WHERE tenancy_id = tenancy;
    IF people = 0 THEN
        RAISE EXCEPTION 'L-23: a tenancy without occupants'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_occupants';
    END IF;
    IF people > room.capacity THEN
        RAISE EXCEPTION 'L-23: more occupants than the room holds'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_capacity';
    END IF;

    SELECT count(*) INTO wrong FROM occupants o
    WHERE o.tenancy_id = tenancy AND NOT EXISTS (
        SELECT 1 FROM duties d WHERE d.tenancy_id = o.tenancy_id
            AND d.holder_id = o.holder_id AND d.kind = 'arrival');
    IF wrong > 0 THEN
        RAISE EXCEPTION 'L-23: an occupant without an arrival duty'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_arrival';
    END IF;

    SELECT count(*) INTO wrong FROM duties d
    WHERE d.tenancy_id = tenancy AND NOT EXISTS (
        SELECT 1 FROM occupants o WHERE o.tenancy_id = d.tenancy_id
            AND o.holder_id = d.holder_id);
    IF wrong > 0 THEN
        RAISE EXCEPTION 'L-23: a duty of somebody who does not live there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_stranger';
    END IF;

    SELECT count(*) INTO wrong FROM occupants o
    WHERE o.tenancy_id = tenancy AND o.is_minor AND NOT EXISTS (
        SELECT 1 FROM occupants g WHERE g.tenancy_id = o.tenancy_id
            AND g.holder_id = o.guardian_holder_id AND NOT g.is_minor);
    IF wrong > 0 THEN
        RAISE EXCEPTION 'L-23: a minor without a guardian who lives there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_guardian';
    END IF;

    IF lease.state = 'signed' THEN
        SELECT count(*) INTO wrong FROM duties
        WHERE tenancy_id = tenancy AND kind = 'departure';
        IF wrong > 0 THEN
            RAISE EXCEPTION 'L-23: a departure duty while the tenancy lives'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_early_departure';
        END IF;
    ELSE
        SELECT count(*) INTO wrong FROM occupants o
        WHERE o.tenancy_id = tenancy
          AND EXISTS (
            SELECT 1 FROM registrations r WHERE r.tenancy_id = o.tenancy_id
                AND r.holder_id = o.holder_id AND r.state <> 'withdrawn')
          AND NOT EXISTS (
            SELECT 1 FROM duties d WHERE d.tenancy_id = o.tenancy_id
                AND d.holder_id = o.holder_id AND d.kind = 'departure');
        IF wrong > 0 THEN
            RAISE EXCEPTION 'L-23: an ended tenancy owes a departure duty'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'law_23_departure';
        END IF;
    END IF;
END $$;

CREATE FUNCTION law_23() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'tenancies' THEN
        PERFORM law_23_judge(NEW.id);
    ELSE
        IF TG_OP <> 'INSERT' THEN
            PERFORM law_23_judge(OLD.tenancy_id);
        END IF;
        IF TG_OP <> 'DELETE' AND (TG_OP = 'INSERT' OR NEW.tenancy_id <> OLD.tenancy_id) THEN
            PERFORM law_23_judge(NEW.tenancy_id);
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER law_23_tenancies AFTER INSERT OR UPDATE ON tenancies
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION law_23();
CREATE CONSTRAINT TRIGGER law_23_occupants AFTER INSERT OR UPDATE OR DELETE ON occupants
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION law_23();
CREATE CONSTRAINT TRIGGER law_23_duties AFTER INSERT OR UPDATE OR DELETE ON duties
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION law_23();
CREATE CONSTRAINT TRIGGER law_23_registrations AFTER INSERT OR UPDATE OF state, tenancy_id, holder_id ON registrations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION law_23();

-- An end is an end: what closed a lease is never rewritten, and no lease comes back.
CREATE FUNCTION tenancy_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'ended' AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'an ended tenancy does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tenancy_ends_once';
    END IF;
    IF (NEW.door_id, NEW.epoch, NEW.lower, NEW.signed_by)
        IS DISTINCT FROM (OLD.door_id, OLD.epoch, OLD.lower, OLD.signed_by) THEN
        RAISE EXCEPTION 'a tenancy keeps its room, epoch, start and signer'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tenancy_keeps';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tenancy_ends_once BEFORE UPDATE ON tenancies
    FOR EACH ROW EXECUTE FUNCTION tenancy_ends_once();

-- A room's turnover epoch only rises: the next tenancy's first unlock kills the last one's keys.
CREATE FUNCTION epoch_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch < OLD.epoch OR (NEW.epoch IS NULL) <> (OLD.epoch IS NULL) THEN
        RAISE EXCEPTION 'a room''s epoch only rises'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'epoch_rises';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER epoch_rises BEFORE UPDATE OF epoch ON doors
    FOR EACH ROW EXECUTE FUNCTION epoch_rises();

------------------------------------------------------------------------------------------- L-38
-- What a row is about is said once. Who got into the API's database user could else make a
-- stranger the owner of a house, or the occupant of a lease, without leaving a new row.
CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(NEW) -> name IS DISTINCT FROM to_jsonb(OLD) -> name THEN
            RAISE EXCEPTION '% keeps its %', TG_TABLE_NAME, name
                USING ERRCODE = 'check_violation', CONSTRAINT = 'keeps';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER keeps BEFORE UPDATE ON houses
    FOR EACH ROW EXECUTE FUNCTION keeps('owner_holder_id');
CREATE TRIGGER keeps BEFORE UPDATE ON doors
    FOR EACH ROW EXECUTE FUNCTION keeps('house_id', 'kind');
CREATE TRIGGER keeps BEFORE UPDATE ON grants
    FOR EACH ROW EXECUTE FUNCTION keeps('holder_id', 'door_id', 'class', 'tenancy_id', 'epoch', 'wish_id', 'parent_id',
        'bundle_id', 'uses', 'guest_key');
CREATE TRIGGER keeps BEFORE UPDATE ON occupants
    FOR EACH ROW EXECUTE FUNCTION keeps('tenancy_id', 'holder_id', 'is_minor', 'guardian_holder_id');
CREATE TRIGGER keeps BEFORE UPDATE ON duties
    FOR EACH ROW EXECUTE FUNCTION keeps('tenancy_id', 'holder_id', 'kind');
CREATE TRIGGER keeps BEFORE UPDATE ON cases
    FOR EACH ROW EXECUTE FUNCTION keeps('duty_id', 'holder_id', 'phone_id', 'session_id');
CREATE TRIGGER keeps BEFORE UPDATE OF door_id, serial, sign_pub, ecdh_pub ON locks
    FOR EACH ROW EXECUTE FUNCTION keeps('door_id', 'serial', 'sign_pub', 'ecdh_pub');

------------------------------------------------------------------------------- L-16, L-17, L-22
-- Only the steps of `lockserver.domain.command`; once published, only with the lock's signed word.
CREATE FUNCTION command_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' THEN
            RAISE EXCEPTION 'a command begins queued'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'command_steps';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.lock_id, NEW.holder_id, NEW.grant_id, NEW.credential_id, NEW.wish_id,
            NEW.kind, NEW.counter, NEW.not_after)
        IS DISTINCT FROM (OLD.id, OLD.lock_id, OLD.holder_id, OLD.grant_id, OLD.credential_id,
            OLD.wish_id, OLD.kind, OLD.counter, OLD.not_after) THEN
        RAISE EXCEPTION 'a command keeps what was asked'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'command_keeps';
    END IF;
    IF NEW.state = OLD.state THEN
        IF (NEW.code, NEW.sent_at, NEW.settled_at, NEW.evidence)
            IS DISTINCT FROM (OLD.code, OLD.sent_at, OLD.settled_at, OLD.evidence) THEN
            RAISE EXCEPTION 'a command changes only by a step'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'command_steps';
        END IF;
        RETURN NEW;
    END IF;
    IF NOT ((OLD.state = 'queued' AND NEW.state IN ('sent', 'expired'))
         OR (OLD.state = 'sent' AND NEW.state IN ('done', 'refused', 'expired', 'unknown'))
         OR (OLD.state = 'unknown' AND NEW.state IN ('done', 'refused', 'expired'))) THEN
        RAISE EXCEPTION 'no step from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'command_steps';
    END IF;
    IF OLD.state <> 'queued' AND NEW.state <> 'unknown' AND NEW.evidence IS NULL THEN
        RAISE EXCEPTION 'L-22: a published command is settled by signed evidence only'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_22';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER command_steps BEFORE INSERT OR UPDATE ON commands
    FOR EACH ROW EXECUTE FUNCTION command_steps();

-- The lock's counter at the server only rises, or an old command number would be used again.
CREATE FUNCTION counter_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.command_counter < OLD.command_counter THEN
        RAISE EXCEPTION 'a command counter only rises'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'counter_rises';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER counter_rises BEFORE UPDATE OF command_counter ON locks
    FOR EACH ROW EXECUTE FUNCTION counter_rises();

------------------------------------------------------------------------------------------- L-38
-- Only the roles that see proof (the issuer the button, verify the face or staff) make a phone
-- active: the API, which a stolen session reaches, cannot.
CREATE FUNCTION phone_proof() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'active' AND (TG_OP = 'INSERT' OR OLD.state <> 'active')
        AND current_user IN ('ls_api', 'ls_bridge', 'ls_relay', 'ls_jobs') THEN
        RAISE EXCEPTION 'this role proves no phone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'phone_proof';
    END IF;
    -- What proved it decides what it may sign: a tenant's phone is no owner's.
    IF NEW.proved_by IS DISTINCT FROM (CASE TG_OP WHEN 'UPDATE' THEN OLD.proved_by END)
        AND current_user IN ('ls_api', 'ls_bridge', 'ls_relay', 'ls_jobs') THEN
        RAISE EXCEPTION 'this role proves no phone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'phone_proof';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.state = 'revoked' AND NEW.state <> 'revoked'
        OR (NEW.sign_pub, NEW.ecdh_pub, NEW.holder_id, NEW.session_id)
            IS DISTINCT FROM (OLD.sign_pub, OLD.ecdh_pub, OLD.holder_id, OLD.session_id)) THEN
        RAISE EXCEPTION 'a phone keeps its keys, holder and session, and a revoked one stays revoked'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'phone_keeps';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER phone_proof BEFORE INSERT OR UPDATE ON phones
    FOR EACH ROW EXECUTE FUNCTION phone_proof();

------------------------------------------------------------------------------------------- L-34
-- What is written in these tables stays written. A superuser can drop a trigger; for him there are
-- the signed checkpoints.
CREATE FUNCTION only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'only_added';
END $$;
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added_at_all BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added_at_all BEFORE TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON verdicts
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON receipts
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON journal
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON wishes
    FOR EACH ROW EXECUTE FUNCTION only_added();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE ON wish_terms
    FOR EACH ROW EXECUTE FUNCTION only_added();

------------------------------------------------------------------------------------- L-05, L-38
CREATE TRIGGER keeps BEFORE UPDATE ON tenancies
    FOR EACH ROW EXECUTE FUNCTION keeps('wish_id');
CREATE TRIGGER keeps BEFORE UPDATE ON entries
    FOR EACH ROW EXECUTE FUNCTION keeps('lock_id', 'door_id', 'tenancy_id', 'kind', 'class', 'holder_id',
        'given_by', 'wish_id', 'reason', 'lower', 'upper');
CREATE TRIGGER keeps BEFORE UPDATE ON notices
    FOR EACH ROW EXECUTE FUNCTION keeps('holder_id', 'kind', 'about', 'detail', 'at');

-- A wish that grants or ends something is kept only while the phone that signed it lives: the issuer
-- believes a kept wish later, when that phone may long be gone. (A remote act is judged by its lock too.)
CREATE FUNCTION wish_by_a_living_phone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM phones p WHERE p.id = NEW.phone_id AND p.holder_id = NEW.holder_id
            AND p.state = 'active') THEN
        RAISE EXCEPTION 'a wish by a phone that is not active'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'wish_by_a_living_phone';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER wish_by_a_living_phone BEFORE INSERT ON wishes
    FOR EACH ROW WHEN (NEW.operation NOT IN ('unlock', 'lock', 'hold_open'))
    EXECUTE FUNCTION wish_by_a_living_phone();

-- What has ended stays ended: a revoked grant, a revoked credential, an entry.
CREATE FUNCTION stays_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) ->> TG_ARGV[0] IS NOT NULL
        AND to_jsonb(NEW) -> TG_ARGV[0] IS DISTINCT FROM to_jsonb(OLD) -> TG_ARGV[0] THEN
        RAISE EXCEPTION '% stays ended', TG_TABLE_NAME
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stays_ended';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stays_ended BEFORE UPDATE ON grants
    FOR EACH ROW EXECUTE FUNCTION stays_ended('revoked_at');
CREATE TRIGGER stays_ended BEFORE UPDATE ON credentials
    FOR EACH ROW EXECUTE FUNCTION stays_ended('revoked_at');
CREATE TRIGGER stays_ended BEFORE UPDATE ON entries
    FOR EACH ROW EXECUTE FUNCTION stays_ended('ended_at');

------------------------------------------------------------------------------------------- L-52
-- Who lives behind a door is told in the transaction that lets somebody else through it.
CREATE FUNCTION law_52() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM occupants o WHERE o.tenancy_id = NEW.tenancy_id AND o.holder_id <> NEW.given_by
        AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.holder_id = o.holder_id AND n.about = NEW.id)) THEN
        RAISE EXCEPTION 'L-52: somebody who lives there was not told'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_52';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER law_52 AFTER INSERT ON entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION law_52();

------------------------------------------------------------------------------------------- L-22
-- Nobody but the lock says that a slot is set, or that it is gone: what it reported last must have
-- reached the version in which the change stands. What a slot is about is said once.
CREATE FUNCTION slot_steps() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.lock_id, NEW.kind, NEW.purpose, NEW.verifier) IS DISTINCT FROM
        (OLD.lock_id, OLD.kind, OLD.purpose, OLD.verifier) THEN
        RAISE EXCEPTION 'a slot keeps its lock, kind, purpose and verifier'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_keeps';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF (OLD.state, NEW.state) NOT IN (('setting', 'set'), ('setting', 'removing'), ('set', 'removing'),
        ('removing', 'unset'), ('removing', 'setting'), ('unset', 'setting')) THEN
        RAISE EXCEPTION 'a slot does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_steps';
    END IF;
    IF NEW.state IN ('set', 'unset') AND NOT EXISTS (
        SELECT 1 FROM lock_status s WHERE s.lock_id = NEW.lock_id AND s.state_number >= OLD.wanted_version) THEN
        RAISE EXCEPTION 'L-22: the lock has not said so'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_said_by_lock';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER slot_steps BEFORE UPDATE ON slots
    FOR EACH ROW EXECUTE FUNCTION slot_steps();

CREATE FUNCTION slot_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'setting' THEN
        RAISE EXCEPTION 'a slot begins as setting'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'slot_begins';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER slot_begins BEFORE INSERT ON slots
    FOR EACH ROW EXECUTE FUNCTION slot_begins();

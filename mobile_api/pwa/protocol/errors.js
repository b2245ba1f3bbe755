/**
 * Refusals of the wire, docs/protocol.md §12. One stable code per refusal.
 *
 * `RemoteError`: they erred (or attack). `LocalError`: our caller erred; nothing was sent.
 */

/** Every exact reason by its number on the wire, append-only. */
export const DENIALS = Object.freeze([
  null,
  "bad_version",
  "bad_format",
  "too_large",
  "bad_issuer",
  "bad_proof",
  "bad_signature",
  "unknown_key",
  "bad_point",
  "bad_box",
  "unknown_claim",
  "wrong_lock",
  "not_yet",
  "expired",
  "revoked",
  "epoch_low",
  "epoch_jump",
  "epoch_shared",
  "capability",
  "schedule",
  "clock_lost",
  "occupied",
  "stale_command",
  "counter",
  "wish_used",
  "wish_expired",
  "wish_bad",
  "not_attested",
  "jammed",
  "life_too_long",
  "rolled_back",
  "replayed",
  "wrong_state",
  "timed_out",
  "back_off",
  "no_button",
  "torn",
  "list_floor",
  "wrong_nonce",
  "unsupported",
  "burnt",
  "used_up",
  "keypad_locked",
  "pin_unknown",
  "busy",
  "slots_full",
]);

/** What M4 says in `code`, by number. */
export const ANSWERS = Object.freeze(["granted", "denied", "try_later", "clock_lost", "update_required"]);

/** Where the bolt stands, by number (§8). */
export const BOLTS = Object.freeze(["unknown", "locked", "unlocked", "moving", "jammed"]);

class ProtocolError extends Error {
  /**
   * @param {string} code one of DENIALS
   * @param {string} [why] for a log; holds no value of the message
   */
  constructor(code, why = "") {
    super(why ? `${code}: ${why}` : code);
    if (!DENIALS.includes(code)) throw new TypeError(`no such code: ${code}`);
    this.code = code;
  }
}

/** The other side sent what is refused. */
export class RemoteError extends ProtocolError {
  name = "RemoteError";
}

/** Our side asked for what the wire does not have. */
export class LocalError extends ProtocolError {
  name = "LocalError";
}

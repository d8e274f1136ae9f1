/** Ctrl-], as telnet and virsh have it. */
const leaveKey = 0x1d;

/** What to send of what was typed, and whether the person wants to leave. */
export function untilEscape(typed: Uint8Array): { readonly send: Uint8Array; readonly leave: boolean } {
  const at = typed.indexOf(leaveKey);
  return at < 0 ? { send: typed, leave: false } : { send: typed.subarray(0, at), leave: true };
}

/** What one of several asks of what they have together, in any unit. */
export interface Claim {
  /** What it has in any case. */
  readonly reservation: number;
  /** What it takes at most. */
  readonly limit: number;
  readonly shares: number;
}

/**
 * What each gets when all want everything: in proportion to its shares, but no less than its reservation and no more
 * than its limit. What nobody can take is left over; more reservations than there is are cut in proportion.
 */
export function entitlements(total: number, claims: readonly Claim[]): number[] {
  const reserved = claims.reduce((sum, { reservation }) => sum + reservation, 0);
  if (reserved >= total) return claims.map(({ reservation }) => (reservation * total) / Math.max(reserved, 1e-9));
  const at = (each: number) =>
    claims.map(({ reservation, limit, shares }) => Math.max(reservation, Math.min(limit, each * shares)));
  const sum = (parts: readonly number[]) => parts.reduce((all, part) => all + part, 0);
  let [low, high] = [0, total / Math.min(...claims.map(({ shares }) => Math.max(shares, 1e-9)))];
  for (let round = 0; round < 60; round += 1) {
    const middle = (low + high) / 2;
    if (sum(at(middle)) <= total) low = middle;
    else high = middle;
  }
  return at(low);
}

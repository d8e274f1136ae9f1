import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claim, entitlements } from './entitlements.ts';

const claim = (shares: number, more: Partial<Claim> = {}): Claim => ({
  reservation: 0,
  limit: Infinity,
  shares,
  ...more,
});
const rounded = (total: number, claims: readonly Claim[]) => entitlements(total, claims).map(Math.round);

test('what there is goes by shares, with reservations and limits', () => {
  assert.deepEqual(rounded(4000, [claim(1000), claim(3000)]), [1000, 3000]);
  assert.deepEqual(rounded(4000, [claim(1000, { reservation: 3000 }), claim(3000)]), [3000, 1000]);
  assert.deepEqual(rounded(4000, [claim(1000), claim(1000, { limit: 500 })]), [3500, 500]);
  assert.deepEqual(rounded(4000, [claim(1, { limit: 100 }), claim(1, { limit: 200 })]), [100, 200]);
  assert.deepEqual(rounded(4000, [claim(1, { reservation: 6000 }), claim(1, { reservation: 2000 })]), [3000, 1000]);
  assert.deepEqual(entitlements(4000, []), []);
});

test('nobody gets less than reserved or more than its limit, and nothing is left over that somebody could have', () => {
  const anyClaim = fc
    .record({ reservation: fc.nat(1000), above: fc.nat(5000), shares: fc.integer({ min: 1, max: 1_000_000 }) })
    .map(({ reservation, above, shares }) => ({ reservation, limit: reservation + above, shares }));
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.array(anyClaim, { minLength: 1, maxLength: 8 }),
      (total, claims) => {
        const parts = entitlements(total, claims);
        const sum = parts.reduce((all, part) => all + part, 0);
        const reserved = claims.reduce((all, { reservation }) => all + reservation, 0);
        assert.ok(sum <= total * 1.000001);
        if (reserved > total) return;
        for (const [index, { reservation, limit }] of claims.entries()) {
          const part = parts[index] ?? -1;
          assert.ok(part >= reservation * 0.999 && part <= limit * 1.001);
        }
        const most = claims.reduce((all, { limit }) => all + limit, 0);
        assert.ok(sum >= Math.min(total, most) * 0.999 - 0.001);
      },
    ),
  );
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PaceKeeper, SettlePace } from './pace.ts';

const megabyte = 2 ** 20;

it('what is passed takes as long as the rate says, and no time where there is none or it was stopped', () => {
  const pace = new SettlePace(megabyte);
  const begun = performance.now();
  const keeper = new PaceKeeper(pace.shared);
  for (let part = 0; part < 4; part += 1) keeper.passed(megabyte / 16);
  assert.ok(performance.now() - begun >= 245, 'a quarter of what a second lets through');
  // At a byte or so a second these would take years.
  pace.set(0);
  keeper.passed(2 ** 40);
  pace.set(1);
  pace.stop();
  keeper.passed(2 ** 40);
  assert.ok(keeper.stopped);
});

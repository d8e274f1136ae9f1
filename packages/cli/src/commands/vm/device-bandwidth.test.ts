import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../errors.ts';
import { bandwidth } from './device-bandwidth.ts';

test('what an adapter may use is said as the interface has it, and what was not said is not in it', () => {
  const share = (level: string, shares: number) => ({ share: { _typeName: 'SharesInfo', level, shares } });
  assert.deepEqual(bandwidth({ limit: -1 }), { limit: -1 });
  assert.deepEqual(bandwidth({ reservation: 5, shares: 'low' }), { reservation: 5, ...share('low', 0) });
  assert.deepEqual(bandwidth({ shares: '75' }), share('custom', 75));
  assert.throws(() => bandwidth({}), CliError);
  assert.throws(() => bandwidth({ shares: 'many' }), CliError);
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { hour, SampleColumns } from './sample-columns.ts';

it('tells what was set within the last hour, whatever was added and left out', () => {
  const step = fc.record({
    advance: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 2 * hour })),
    add: fc.integer({ min: 0, max: 20 }),
    values: fc.array(fc.tuple(fc.nat(200), fc.nat()), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 30 }), (wide, steps) => {
      const columns = new SampleColumns(wide);
      const model = new Map<string, number>();
      let tick = 1_000;
      let last = -1;
      for (const { advance, add, values } of steps) {
        tick += advance;
        for (let index = 0; index < add; index += 1) columns.add();
        for (const [at, value] of values) {
          if (at >= columns.size) continue;
          columns.set(at, tick, value);
          model.set(`${at}/${tick}`, value);
          last = tick;
        }
        for (let column = 0; column < columns.size; column += 7)
          for (let at = tick - hour - 5; at <= tick; at += 1) {
            const known = at > last - hour ? model.get(`${column}/${at}`) : undefined;
            assert.equal(columns.get(column, at), known ?? -1);
          }
      }
    }),
    { numRuns: 50 },
  );
});

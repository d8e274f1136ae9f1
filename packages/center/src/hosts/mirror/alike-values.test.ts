import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AlikeValues } from './alike-values.ts';

const value = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(true, 1, 2n, 'a', undefined),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { noNullPrototype: true }),
  ),
})).tree;
const properties = fc.dictionary(fc.constantFrom('config', 'summary'), value, { noNullPrototype: true });

test('what is shared equals what was said, and nothing that was said changes', () => {
  fc.assert(
    fc.property(fc.array(properties, { maxLength: 5 }), (objects) => {
      const said = structuredClone(objects);
      const values = new AlikeValues();
      const shared = objects.map((object) => values.share('VirtualMachine', object));
      assert.deepStrictEqual(shared, said);
      assert.deepStrictEqual(objects, said);
    }),
    { numRuns: 300 },
  );
});

test('a member that is unset is not taken for another one', () => {
  const values = new AlikeValues();
  values.share('VirtualMachine', { config: { b: 3 } });
  assert.deepStrictEqual(values.share('VirtualMachine', { config: { a: undefined } }), { config: { a: undefined } });
});

test('equal parts of machines are the same value', () => {
  const values = new AlikeValues();
  const machine = (name: string) => ({
    config: {
      name,
      flags: { on: true },
      hardware: {
        device: [
          { key: 1, info: { label: 'IDE 0' } },
          { key: 2, name },
        ],
      },
    },
    capability: { snapshots: true },
  });
  const first = values.share('VirtualMachine', machine('a')) as ReturnType<typeof machine>;
  const second = values.share('VirtualMachine', machine('b')) as ReturnType<typeof machine>;
  assert.equal(second.capability, first.capability);
  assert.equal(second.config.flags, first.config.flags);
  assert.equal(second.config.hardware.device[0], first.config.hardware.device[0]);
  assert.notEqual(second.config, first.config);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  type VAppProductInfo,
  type VAppPropertyInfo,
  type VAppPropertySpec,
  VimFault,
  type VirtualMachineConfigSpec,
  type VmConfigInfo,
  type VmConfigSpec,
} from '@hypostyle/vim';
import fc from 'fast-check';
import { applyVApp } from './apply-vapp.ts';
import { parseVApp } from './parse-vapp.ts';

type Members = Partial<Omit<VAppPropertyInfo, '_typeName'>>;

const change = (vAppConfig: Omit<VmConfigSpec, '_typeName'>): VirtualMachineConfigSpec =>
  data('VirtualMachineConfigSpec', { vAppConfig: data('VmConfigSpec', vAppConfig) });
const info = (members: Members) => data('VAppPropertyInfo', { key: 0, ...members });
const add = (members: Members) => data('VAppPropertySpec', { operation: 'add', info: info(members) });
const edit = (members: Members) => data('VAppPropertySpec', { operation: 'edit', info: info(members) });
const remove = (key: unknown) => data('VAppPropertySpec', { operation: 'remove', removeKey: key as never });
const properties = (...property: VAppPropertySpec[]) => change({ property });
const is =
  (type: string, words = /./) =>
  (error: unknown) =>
    error instanceof VimFault && error.type === type && words.test(error.message);

const title = { key: 0, id: 'title', type: 'string(0..10)', userConfigurable: true, defaultValue: 'Hello' };

test('a machine has no vApp configuration until it is given one, and none when it is removed', () => {
  assert.equal(applyVApp(undefined, data('VirtualMachineConfigSpec', {})), undefined);
  const given = applyVApp(undefined, properties(add(title)));
  assert.equal(applyVApp(given, data('VirtualMachineConfigSpec', { numCPUs: 2 })), given);
  assert.equal(applyVApp(given, data('VirtualMachineConfigSpec', { vAppConfigRemoved: true })), undefined);
  assert.throws(
    () => applyVApp(given, { ...properties(), vAppConfigRemoved: true }),
    is('InvalidArgument', /vAppConfigRemoved/),
  );
});

test('an edit sets what it names and leaves the rest', () => {
  const before = applyVApp(undefined, properties(add(title)));
  const after = applyVApp(before, properties(edit({ key: 0, value: 'Bye' })));
  assert.deepEqual(after?.property, [info({ ...title, value: 'Bye' })]);
  assert.deepEqual(before?.property, [info(title)], 'the configuration before is not touched');
});

test('values are of their type; what is no value is refused by the documented fault, without showing it', () => {
  const before = applyVApp(undefined, properties(add(title)));
  const secret = 'far too long a secret';
  const wrong = () => applyVApp(before, properties(edit({ key: 0, type: 'password(0..10)', value: secret })));
  assert.throws(wrong, is('InvalidPropertyValue', /title/));
  try {
    wrong();
  } catch (error) {
    assert.ok(!JSON.stringify([(error as VimFault).detail, (error as VimFault).message]).includes(secret));
  }
  assert.throws(() => applyVApp(before, properties(edit({ key: 0, type: 'colour' }))), is('InvalidPropertyType'));
  assert.throws(() => applyVApp(undefined, properties(add({ ...title, value: '\u0001' }))), is('InvalidPropertyValue'));
});

test('the value of a fixed property is not set by a user', () => {
  const before = applyVApp(undefined, properties(add({ ...title, userConfigurable: false })));
  assert.throws(() => applyVApp(before, properties(edit({ key: 0, value: 'x' }))), is('NotUserConfigurableProperty'));
  const freed = applyVApp(before, properties(edit({ key: 0, value: 'x', userConfigurable: true })));
  assert.equal(freed?.property?.[0]?.value, 'x');
});

test('what cannot be is refused, and its place is named', () => {
  const before = applyVApp(undefined, properties(add(title)));
  const cases: [VirtualMachineConfigSpec, RegExp][] = [
    [properties(add({ key: 0, id: 'other' })), /property\.info\.key/],
    [properties(edit({ key: 7 })), /property\.info\.key/],
    [properties(remove(7)), /property\.removeKey/],
    [properties(remove('zero')), /property\.removeKey/],
    [properties(data('VAppPropertySpec', { operation: 'add' })), /property\.info/],
    [properties(add({ key: 1, id: 'title' })), /'title' is there already/],
    [properties(add({ key: 1, id: '' })), /property\.info\.id/],
    [change({ ovfEnvironmentTransport: ['pigeon'] }), /ovfEnvironmentTransport/],
    [change({ ipAssignment: data('VAppIPAssignmentInfo', { ipAllocationPolicy: 'any' }) }), /ipAllocationPolicy/],
    [change({ installBootStopDelay: -1 }), /installBootStopDelay/],
    [change({ eula: ['x'.repeat(1 << 20)] }), /vAppConfig: it would have over/],
    [properties(...[1, 2, 3].map((key) => add({ key, id: `p${key}`, value: 'x'.repeat(65_000) }))), /keys and values/],
    [properties(...Array.from({ length: 1001 }, (_, key) => add({ key: key + 1, id: `p${key}` }))), /over 1000/],
  ];
  for (const [spec, words] of cases) assert.throws(() => applyVApp(before, spec), is('InvalidArgument', words));
});

test('lists are replaced, and taken away by an empty text', () => {
  const before = applyVApp(undefined, change({ eula: ['a', 'b'], ovfEnvironmentTransport: ['iso', 'vendor.own'] }));
  assert.deepEqual(before?.eula, ['a', 'b']);
  const after = applyVApp(before, change({ eula: [''], ovfEnvironmentTransport: [] }));
  assert.equal(after?.eula, undefined);
  assert.deepEqual(after?.ovfEnvironmentTransport, ['iso', 'vendor.own']);
});

const key = fc.integer({ min: 0, max: 5 });
const text = fc.constantFrom('', 'a', 'b', 'c');
type Step =
  | { operation: 'add' | 'edit'; key: number; name?: string; version?: string }
  | { operation: 'remove'; key: number; boxed: boolean };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record(
    { operation: fc.constantFrom('add' as const, 'edit' as const), key, name: text, version: text },
    { requiredKeys: ['operation', 'key'] },
  ),
  fc.record({ operation: fc.constant('remove' as const), key, boxed: fc.boolean() }),
);

test('products follow a plain model, whatever is done, and are read back from their file', () => {
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 12 }), (specs) => {
      let model = new Map<number, { key: number; name?: string; version?: string }>();
      let vApp: VmConfigInfo | undefined;
      for (const steps of specs) {
        const next = new Map(model);
        const possible = steps.every(({ operation, ...rest }) => {
          if (operation === 'remove') return next.delete(rest.key);
          if ((operation === 'add') === next.has(rest.key)) return false;
          next.set(rest.key, { ...next.get(rest.key), ...rest });
          return true;
        });
        const product = steps.map((one) =>
          one.operation === 'remove'
            ? data('VAppProductSpec', {
                operation: 'remove',
                removeKey: (one.boxed ? { _typeName: 'PrimitiveInt', _value: one.key } : one.key) as never,
              })
            : data('VAppProductSpec', {
                operation: one.operation,
                info: data('VAppProductInfo', {
                  key: one.key,
                  name: one.name,
                  version: one.version,
                } as VAppProductInfo),
              }),
        );
        if (possible) {
          vApp = applyVApp(vApp, change({ product }));
          model = next;
        } else assert.throws(() => applyVApp(vApp, change({ product })), is('InvalidArgument'));
        const expected = [...model.values()].map((one) => ({ ...one, _typeName: 'VAppProductInfo' }));
        assert.deepEqual(
          (vApp?.product ?? []).map((one) => ({ ...one })),
          expected,
        );
        if (vApp !== undefined) assert.deepEqual(parseVApp(JSON.stringify(vApp)), vApp);
      }
    }),
    { numRuns: 200 },
  );
});

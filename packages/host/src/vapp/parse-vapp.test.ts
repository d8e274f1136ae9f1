import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostError } from '../errors.ts';
import { parseVApp } from './parse-vapp.ts';

const whole = {
  _typeName: 'VmConfigInfo',
  product: [{ _typeName: 'VAppProductInfo', key: 0, name: 'Demo' }],
  property: [{ _typeName: 'VAppPropertyInfo', key: 0, id: 'title', userConfigurable: true, value: 'x' }],
  ovfSection: [{ _typeName: 'VAppOvfSectionInfo', key: 1, contents: '<a/>' }],
  ipAssignment: { _typeName: 'VAppIPAssignmentInfo', supportedIpProtocol: ['IPv4'] },
  eula: ['Agree'],
  ovfEnvironmentTransport: ['iso'],
  installBootRequired: false,
  installBootStopDelay: 5,
};

test('what was written is read, and what we do not know is left out', () => {
  assert.deepEqual(parseVApp(JSON.stringify(whole)), whole);
  const more = { ...whole, other: 1, property: [{ ...whole.property[0], other: {} }] };
  assert.deepEqual(parseVApp(JSON.stringify(more)), whole);
});

test('a file of another form is refused with a typed error', () => {
  const wrong = [
    null,
    [],
    { ...whole, property: {} },
    { ...whole, property: [null] },
    { ...whole, property: [{ id: 'no key' }] },
    { ...whole, property: [{ key: 0, value: 5 }] },
    { ...whole, property: [{ key: 2 ** 40 }] },
    { ...whole, eula: [5] },
    { ...whole, ipAssignment: [] },
  ];
  for (const value of wrong) {
    assert.throws(() => parseVApp(JSON.stringify(value)), { name: 'HostError', code: 'vapp-invalid' });
  }
});

test('any text and any changed file is read or refused', () => {
  const source = JSON.stringify(whole);
  const mutated = fc
    .tuple(fc.nat(source.length), fc.nat(20), fc.string({ maxLength: 10 }))
    .map(([at, gone, text]) => source.slice(0, at) + text + source.slice(at + gone));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
      try {
        parseVApp(text);
      } catch (error) {
        assert.ok(error instanceof HostError && error.code === 'vapp-invalid', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

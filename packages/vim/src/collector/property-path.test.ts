import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VimFault } from '../runtime/fault.ts';
import { loadSchema } from '../schema/schema.ts';
import { compilePath } from './path-accessor.ts';
import { keyedPath, parsePropertyPath } from './property-path.ts';

const schema = loadSchema();

test('paths go into nested properties and keyed arrays', () => {
  assert.deepEqual(parsePropertyPath('config.hardware.device[2000].capacityInKB'), [
    { name: 'config' },
    { name: 'hardware' },
    { name: 'device' },
    { key: 2000 },
    { name: 'capacityInKB' },
  ]);
  assert.deepEqual(parsePropertyPath('config.extraConfig["guestinfo.x"].value')?.[2], { key: 'guestinfo.x' });
  for (const bad of ['', '.', 'a.', 'a..b', '[1]', 'a[', 'a[1', 'a[b]', 'a["b]', 'a[1]b', `a${'.a'.repeat(40)}`]) {
    assert.equal(parsePropertyPath(bad), undefined, bad);
  }
});

test('any key can be said, and any text is a path or none', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 100 }), (key) => {
      assert.deepEqual(parsePropertyPath(keyedPath('a', key)), [{ name: 'a' }, { key }]);
    }),
  );
  const alphabet = fc.string({
    unit: fc.constantFrom('a', '.', '[', ']', '"', '\\', '1', '-', ' ', '\n'),
    maxLength: 60,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), alphabet), (text) => void parsePropertyPath(text)),
    { numRuns: 2000 },
  );
  const started = process.cpuUsage();
  for (const unit of ['[', '["', '["\\', 'a.', 'a[1]', '"']) parsePropertyPath(`a${unit.repeat(100_000)}`);
  for (const unit of ['["\\', '["\\"', 'a[1]']) parsePropertyPath(`a${unit.repeat(200)}`);
  // Of the processor, in microseconds. What looks at each again for each would take minutes.
  assert.ok(process.cpuUsage(started).user < 5e6);
});

test('a path that the schema does not know is InvalidProperty by its name', () => {
  for (const good of [
    'config.hardware.device[2000].capacityInKB',
    'config.hardware.device[2000].backing.fileName',
    'config.extraConfig["a"].value',
    'network',
    'datastore["datastore-1"]',
    'summary.runtime.powerState',
  ]) {
    assert.equal(compilePath(schema, 'VirtualMachine', good).path, good);
  }
  for (const bad of [
    'nothing',
    'config.nothing',
    'config[1]',
    'config.hardware.device.key',
    'name.length',
    'parent.name',
  ]) {
    assert.throws(
      () => compilePath(schema, 'VirtualMachine', bad),
      (error) => error instanceof VimFault && error.type === 'InvalidProperty' && error.detail.name === bad,
      bad,
    );
  }
});

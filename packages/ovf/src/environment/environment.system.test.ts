import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { environmentOf, formatEnvironment, resolveProperties, validateEnvelope, virtualSystems } from '../index.ts';
import { descriptorNames, readDescriptor } from '../testing/descriptors.ts';
import { schemaVerdicts } from '../testing/xmllint.ts';

const skip =
  spawnSync('xmllint', ['--version']).status === 0
    ? false
    : 'xmllint is not installed: node scripts/debian-packages.mjs tests';

test('the environment of every virtual system is valid to the schema', { skip }, async () => {
  const documents = new Map<string, string>();
  for (const name of descriptorNames) {
    const { valid, envelope } = validateEnvelope(readDescriptor(name), { mode: 'lax' });
    if (!valid || envelope === undefined) continue;
    const properties = resolveProperties(envelope, [], { allowMissing: true });
    for (const { id } of virtualSystems(envelope)) {
      const environment = environmentOf(envelope, id, properties, {
        platform: { kind: 'Hypostyle', version: '1', vendor: 'A & B', locale: 'en_US', timezone: -60 },
        adapters: [{ mac: '00:50:56:00:00:01', network: 'VM "1"', unitNumber: 7 }],
      });
      documents.set(`${name} ${id}`, formatEnvironment(environment));
    }
  }
  const verdicts = await schemaVerdicts('environment', documents);
  assert.ok(verdicts.size > 350);
  assert.deepEqual(
    [...verdicts].filter(([, complaints]) => complaints.length > 0),
    [],
  );
});

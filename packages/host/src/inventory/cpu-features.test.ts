import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuFeatures } from './cpu-features.ts';

test('processor features are registers of 32 bits, in the notation of the interface', () => {
  const features = cpuFeatures(new Set(['fpu', 'lm', 'nx', 'vmx', 'hypervisor', 'lahf_lm']));
  for (const { eax, ebx, ecx, edx } of features) {
    for (const bits of [eax, ebx, ecx, edx]) assert.match(bits ?? '', /^([01-]{4}:){7}[01-]{4}$/);
  }
  const [basic, extended] = features;
  assert.equal(basic?.level, 1);
  assert.equal(basic?.ecx?.replaceAll(':', '').at(31 - 5), '1', 'VMX is bit 5');
  assert.equal(basic?.ecx?.[0], '1', 'the hypervisor bit is bit 31');
  assert.equal(extended?.level, -2_147_483_647);
  const extendedEdx = extended?.edx?.replaceAll(':', '');
  assert.equal(extendedEdx?.at(31 - 29), '1', 'long mode is bit 29');
  assert.equal(extendedEdx?.at(31 - 20), '1', 'NX is bit 20');
  assert.equal(extendedEdx?.at(31 - 31), '0', '3DNow! is bit 31, and is not there');
  assert.equal(extended?.ecx?.at(-1), '1', 'LAHF in long mode is bit 0');
});

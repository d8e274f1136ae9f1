import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSchema } from '@hypostyle/vim';
import { guestIdOf, guestOsOf } from './guest-os.ts';

test('every guest system has one name here, and its name leads back to it', () => {
  const schema = loadSchema();
  const type = schema.type('VirtualMachineGuestOsIdentifier');
  assert.ok(type?.kind === 'enum');
  const names = [...type.values].map(guestOsOf);
  assert.equal(new Set(names).size, names.length);
  for (const id of type.values) assert.equal(guestIdOf(schema, guestOsOf(id)), id);
  assert.throws(() => guestIdOf(schema, 'debian12_64Guest'), { error: 'invalid_argument' });
});

test('names are those that the interface documents', () => {
  for (const [id, name] of [
    ['debian12_64Guest', 'DEBIAN_12_64'],
    ['winXPPro64Guest', 'WIN_XP_PRO_64'],
    ['winNTGuest', 'WIN_NT'],
    ['windows7Server64Guest', 'WINDOWS_7_SERVER_64'],
    ['windows2019srv_64Guest', 'WINDOWS_SERVER_2019'],
    ['other3xLinux64Guest', 'OTHER_3X_LINUX_64'],
    ['vmwarePhoton64Guest', 'VMWARE_PHOTON_64'],
    ['vmkernel65Guest', 'VMKERNEL_65'],
    ['otherGuest', 'OTHER'],
    ['otherGuest64', 'OTHER_64'],
  ] as const) {
    assert.equal(guestOsOf(id), name);
  }
});

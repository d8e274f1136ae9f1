import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { data, type VAppPropertyInfo, VimFault } from '@hypostyle/vim';
import { newConfiguration } from '../configuration/apply-spec.ts';
import { Datastore } from '../datastore/datastore.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { checkEnvironment, findEnvironment, makeEnvironment } from './environment.ts';
import { readVApp, writeVApp } from './vapp-file.ts';

const vmxPath = 'web/web.vmx';
const calculated = `\${autoIp:net}`;
let directory: string;
let datastore: Datastore;
let folder: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vapp-'));
  datastore = new Datastore({ name: 'ds', uuid: '00000000-00000000-0000-000000000000', directory });
  folder = join(directory, 'web', '.hypo');
});
beforeEach(async () => {
  await rm(join(directory, 'web'), { recursive: true, force: true });
  await mkdir(join(directory, 'web'));
});
after(() => rm(directory, { recursive: true }));

function vAppOf(transport: readonly string[], ...property: Partial<VAppPropertyInfo>[]) {
  return data('VmConfigInfo', {
    property: property.map((members, key) => data('VAppPropertyInfo', { key, id: `p${key}`, ...members })),
    ipAssignment: data('VAppIPAssignmentInfo', {}),
    ovfEnvironmentTransport: transport,
    installBootRequired: false,
    installBootStopDelay: 0,
  });
}

function machine(vApp: ReturnType<typeof vAppOf> | undefined): MachineRecord {
  const configuration = newConfiguration('web');
  return { datastore, vmxPath, vApp, configuration } as unknown as MachineRecord;
}

test('the environment is on the disc and in guestinfo.ovfEnv, as the machine asks, and found again', async () => {
  const both = await makeEnvironment(machine(vAppOf(['iso', 'com.vmware.guestInfo'], { value: 'Grüße' })));
  assert.match(both.guestInfo?.text ?? '', /oe:key="p0" oe:value="Grüße"/);
  assert.ok((await readFile(both.disc ?? '')).includes(both.guestInfo?.text ?? '-'));
  assert.deepEqual(await findEnvironment(datastore, vmxPath), both);
  for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600);

  const told = await makeEnvironment(machine(vAppOf(['com.vmware.guestInfo'], { value: 'new' })));
  assert.deepEqual([told.disc, /new/.test(await readFile(told.guestInfo?.path ?? '', 'utf8'))], [undefined, true]);
  assert.deepEqual(await findEnvironment(datastore, vmxPath), told);

  const nothing = { disc: undefined, guestInfo: undefined };
  for (const quiet of [machine(vAppOf([], { value: 'x' })), machine(undefined)]) {
    assert.deepEqual(await makeEnvironment(quiet), nothing);
    assert.deepEqual(await findEnvironment(datastore, vmxPath), nothing);
    assert.deepEqual(await readdir(folder), [], 'nothing of the run before is left');
  }
});

test('a plain machine gets no folder of ours', async () => {
  await makeEnvironment(machine(undefined));
  assert.deepEqual(await readdir(join(directory, 'web')), []);
});

test('what the user must set and did not keeps a machine off; what may be empty does not', () => {
  const fails = (property: Partial<VAppPropertyInfo>): string | undefined => {
    try {
      checkEnvironment(machine(vAppOf(['iso'], property)));
      return undefined;
    } catch (error) {
      assert.ok(error instanceof VimFault);
      return error.type;
    }
  };
  const user = { userConfigurable: true };
  assert.equal(fails({ ...user, type: 'int' }), 'UnconfiguredPropertyValue');
  assert.equal(fails({ ...user, type: 'password(8..)' }), 'UnconfiguredPropertyValue');
  assert.equal(fails({ ...user, type: 'string["a"]' }), 'UnconfiguredPropertyValue');
  assert.equal(fails({ type: 'expression', defaultValue: calculated }), 'InvalidPropertyType');
  for (const fine of [
    { ...user, type: 'string' },
    { ...user, type: 'ip:VM Network' },
    { ...user, type: 'int', defaultValue: '4' },
    { ...user, type: 'int', value: '4' },
    { type: 'int' },
    { type: 'expression', value: '10.0.0.1', defaultValue: calculated },
  ])
    assert.equal(fails(fine), undefined, JSON.stringify(fine));
});

test('a vApp configuration is read as it was written; what is none is refused', async () => {
  const refused = (words: RegExp) => ({ name: 'HostError', code: 'vapp-invalid', message: words });
  await assert.rejects(readVApp(datastore, vmxPath), refused(/missing/));
  const vApp = vAppOf(['iso'], { value: 'Grüße', type: 'password' });
  await writeVApp(datastore, vmxPath, vApp);
  assert.deepEqual(await readVApp(datastore, vmxPath), vApp);
  assert.deepEqual(await readdir(folder), ['vapp.json']);
  const path = join(folder, 'vapp.json');
  await writeFile(path, ' '.repeat(3 * 1024 ** 2 + 1));
  await assert.rejects(readVApp(datastore, vmxPath), refused(/bytes/));
  await rm(path);
  await symlink('/etc/passwd', path);
  await assert.rejects(readVApp(datastore, vmxPath), refused(/cannot be read/));
  await writeVApp(datastore, vmxPath, undefined);
  assert.deepEqual(await readdir(folder), []);
});

import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { centerCases } from './ansible/center-cases.ts';
import { guestCases } from './ansible/guest-cases.ts';
import { hardwareCases } from './ansible/hardware-cases.ts';
import { changeCases, hostCases } from './ansible/host-cases.ts';
import { lifeCases } from './ansible/life-cases.ts';
import { expect, machine, named } from './ansible/own-machine.ts';
import { readingCases } from './ansible/reading-cases.ts';
import { snapshotCases } from './ansible/snapshot-cases.ts';
import { type AnsibleCase, ansibleEnvironment, playCases } from './ansible-play.ts';
import { emptyMachine, guestMachine } from './bed.ts';
import { endpoints, type TestClient } from './case.ts';
import { failureOf, runCommand, secondsSince } from './command.ts';

// Debian's Ansible with community.vmware. Its modules of tags and categories need VMware's Automation SDK for Python,
// which Debian has not, and are not run.
const last: readonly AnsibleCase[] = [
  {
    name: 'guest: removed',
    module: 'vmware_guest',
    changed: true,
    quick: true,
    args: (context) => ({ ...machine(context), state: 'absent', force: true }),
    check: async (context) => expect(!existsSync(context.bed.path(named(context))), 'no folder'),
  },
];

const cases = [
  ...readingCases,
  ...lifeCases,
  ...hardwareCases,
  ...snapshotCases,
  ...changeCases,
  ...hostCases,
  ...guestCases,
  ...centerCases,
  ...last,
];

export const ansible: TestClient = {
  name: 'Ansible',
  endpoints,
  quickAt: ['center'],
  ...(existsSync('/usr/bin/ansible-playbook') ? {} : { missing: 'ansible is not installed' }),
  async run(options) {
    await playCases(cases, options);
    if (!options.quick && inventoryName.includes(options.part ?? '')) await inventoryCase(options);
  },
};

const inventoryName = 'vm_inventory';

/** The dynamic inventory: machines of the server are hosts of Ansible. */
async function inventoryCase({ bed, face, tell }: Parameters<TestClient['run']>[0]): Promise<void> {
  const began = performance.now();
  const folder = join(face.home, 'ansible');
  const file = join(folder, 'machines.vmware.yml');
  const settings = {
    plugin: 'community.vmware.vmware_vm_inventory',
    ...{ hostname: face.host, port: face.port, username: face.username, password: face.password },
    ...{ validate_certs: false, with_tags: false, hostnames: ['config.name'] },
    properties: ['name', 'config.name', 'config.uuid', 'runtime.powerState', 'guest.toolsRunningStatus'],
  };
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  const environment = ansibleEnvironment(folder, bed);
  const result = await runCommand('/usr/bin/ansible-inventory', ['-i', file, '--list'], { environment });
  try {
    for (const each of [emptyMachine, guestMachine]) expect(result.stdout.includes(`"${each}"`), `${each} is a host`);
    const uuid = await face.property(await face.machine(guestMachine), 'config.uuid');
    expect(result.stdout.includes(`"${uuid}"`), 'the UUID of the guest');
    tell({ case: inventoryName, passed: true, seconds: secondsSince(began) });
  } catch (error) {
    tell({ case: inventoryName, passed: false, seconds: secondsSince(began), ...failureOf(error, result) });
  }
}

import { existsSync } from 'node:fs';
import { type Bed, emptyMachine, guestMachine } from './bed.ts';
import { endpoints, type TestClient } from './case.ts';
import { type CommandCase, runCommand, runCommandCases } from './command.ts';
import type { Face } from './face.ts';

// The agents of Debian's fence-agents, as a cluster's fencer calls them: options on standard input, or on the command line.
interface Context {
  readonly bed: Bed;
  readonly face: Face;
}

const machine = emptyMachine;
const runs = async ({ bed }: Context) => (await bed.engineOf(machine)) !== undefined;
const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
let pid = 0;

/** Cases that both agents have. */
const cases: readonly CommandCase<Context>[] = [
  { name: 'monitor', words: () => ['-o', 'monitor'] },
  {
    name: 'list',
    words: () => ['-o', 'list'],
    async check({ bed }, said) {
      const names = said.split('\n').map((line) => line.split(',')[0]);
      for (const name of [emptyMachine, guestMachine]) expect(names.includes(name), `${name} in the list`);
      expect((await bed.engineOf(guestMachine)) !== undefined, 'the guest runs');
    },
  },
  {
    name: 'status of what runs',
    before: ({ bed }) => bed.power(machine, 'poweredOn'),
    words: () => ['-o', 'status', '-n', machine],
    says: /Status: ON/,
    check: async (context) => expect(await runs(context), 'an engine'),
  },
  {
    name: 'off',
    before: ({ bed }) => bed.power(machine, 'poweredOn'),
    words: () => ['-o', 'off', '-n', machine],
    says: /Success: Powered OFF/,
    check: async (context) => expect(!(await runs(context)), 'no engine'),
  },
  {
    name: 'off again',
    before: ({ bed }) => bed.power(machine, 'poweredOff'),
    words: () => ['-o', 'off', '-n', machine],
    says: /Success: Already OFF/,
  },
  {
    name: 'status of what is off',
    before: ({ bed }) => bed.power(machine, 'poweredOff'),
    words: () => ['-o', 'status', '-n', machine],
    // The agents say by their exit code that it is off.
    fails: true,
    says: /Status: OFF/,
    check: async (context) => expect(!(await runs(context)), 'no engine'),
  },
  {
    name: 'on',
    before: ({ bed }) => bed.power(machine, 'poweredOff'),
    words: () => ['-o', 'on', '-n', machine],
    says: /Success: Powered ON/,
    check: async (context) => expect(await runs(context), 'an engine'),
  },
  {
    name: 'reboot',
    before: async ({ bed }) => {
      await bed.power(machine, 'poweredOn');
      pid = (await bed.engine(machine)).pid;
    },
    words: () => ['-o', 'reboot', '-n', machine],
    says: /Success: Rebooted/,
    check: async ({ bed }) => expect((await bed.engine(machine)).pid !== pid, 'another engine'),
  },
  {
    name: 'a machine that is not there',
    words: () => ['-o', 'status', '-n', 'no-such-machine'],
    fails: true,
  },
  {
    name: 'a wrong password',
    words: () => ['-o', 'list', '-p', 'not the password'],
    fails: true,
    says: /login/i,
  },
];

/** The shared cases, some of them quick ones. */
function quickly(names: readonly string[]): CommandCase<Context>[] {
  return cases.map((each) => ({ ...each, quick: names.includes(each.name) }));
}

/** It reads the whole WSDL at every call, which takes seconds. */
const soapCases: readonly CommandCase<Context>[] = [
  ...quickly(['reboot']),
  {
    name: 'off by inventory path',
    before: ({ bed }) => bed.power(machine, 'poweredOn'),
    words: ({ face }) => ['-o', 'off', '-n', `/${face.datacenter}/vm/${machine}`],
    says: /Success/,
    check: async (context) => expect(!(await runs(context)), 'no engine'),
  },
];

const restCases: readonly CommandCase<Context>[] = [
  ...quickly(['list', 'off', 'on', 'reboot', 'a wrong password']),
  {
    name: 'list-status',
    before: ({ bed }) => bed.power(machine, 'poweredOn'),
    words: () => ['-o', 'list-status'],
    says: /^bed-empty,.*,ON$/im,
  },
  {
    name: 'list by a filter',
    words: () => ['-o', 'list', `--filter=filter.names=${machine}`],
    async check(_, said) {
      expect(said.split('\n').length === 1 && said.startsWith(machine), 'the one machine');
    },
  },
];

function agent(
  program: string,
  own: readonly CommandCase<Context>[],
  at: Pick<TestClient, 'endpoints' | 'quickAt'>,
): TestClient {
  const path = `/usr/sbin/${program}`;
  return {
    name: program,
    ...at,
    ...(existsSync(path) ? {} : { missing: 'fence-agents is not installed' }),
    async run(options) {
      const { bed, face } = options;
      const common = ['-a', face.host, '-u', `${face.port}`, '-l', face.username, '-p', face.password, '-z'];
      const waits = ['--ssl-insecure', '--shell-timeout=60', '--login-timeout=60', '--power-timeout=120'];
      const environment = { HOME: face.home };
      const execute = async (words: readonly string[]) =>
        runCommand(path, [...common, ...waits, ...words], { environment });
      await runCommandCases(own, { bed, face }, execute, options);
    },
  };
}

export const fenceSoap = agent('fence_vmware_soap', soapCases, { endpoints, quickAt: ['center'] });
/** A host has no Automation interface, which the agent speaks. */
export const fenceRest = agent('fence_vmware_rest', restCases, { endpoints: ['center'] });

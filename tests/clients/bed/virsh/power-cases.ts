import { expect, machine, off, on, type VirshCase } from './virsh-context.ts';

export const powerCases: readonly VirshCase[] = [
  {
    name: 'start',
    quick: true,
    before: off,
    words: () => ['start', machine],
    says: /started/,
    check: async ({ bed }) => expect(await bed.engineOf(machine), 'an engine'),
  },
  { name: 'start what runs', before: on, words: () => ['start', machine], fails: true, says: /already active/ },
  {
    name: 'domid',
    before: on,
    words: () => ['domid', machine],
    says: /^\d+$/,
  },
  {
    name: 'suspend',
    quick: true,
    before: on,
    words: () => ['suspend', machine],
    check: async ({ bed }) => expect((await bed.engineOf(machine)) === undefined, 'no engine: suspended to disk'),
  },
  {
    name: 'domstate of what is suspended',
    before: ({ bed }) => bed.power(machine, 'suspended'),
    words: () => ['domstate', machine],
    says: /paused/,
  },
  {
    name: 'resume',
    quick: true,
    before: ({ bed }) => bed.power(machine, 'suspended'),
    words: () => ['resume', machine],
    check: async ({ bed }) => expect(await bed.engineOf(machine), 'an engine'),
  },
  {
    name: 'destroy',
    quick: true,
    before: on,
    words: () => ['destroy', machine],
    check: async ({ bed }) => expect((await bed.engineOf(machine)) === undefined, 'no engine'),
  },
  { name: 'destroy what is off', before: off, words: () => ['destroy', machine], fails: true },
];

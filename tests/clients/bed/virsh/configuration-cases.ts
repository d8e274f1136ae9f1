import { expect, machine, off, type VirshCase } from './virsh-context.ts';

export const configurationCases: readonly VirshCase[] = [
  {
    name: 'setvcpus',
    quick: true,
    before: off,
    words: () => ['setvcpus', machine, '2'],
    async check({ bed }) {
      expect(/^numvcpus = "2"$/m.test(await bed.vmx(machine)), 'numvcpus = "2" in the .vmx');
      await bed.power(machine, 'poweredOn');
      const processors = await bed.monitor<unknown[]>(machine, 'query-cpus-fast');
      expect(processors.length === 2, `2 processors in the engine, not ${processors.length}`);
    },
  },
  {
    name: 'vcpucount',
    words: () => ['vcpucount', machine, '--maximum', '--config'],
    says: /^\d+$/,
  },
  {
    name: 'schedinfo --set shares',
    before: off,
    words: () => ['schedinfo', machine, '--set', 'shares=1500', 'reservation=100'],
    async check({ face }) {
      const set = await face.property<{ shares?: { shares: number }; reservation?: unknown }>(
        await face.machine(machine),
        'config.cpuAllocation',
      );
      expect(set.shares?.shares === 1500 && Number(set.reservation) === 100, `${JSON.stringify(set)}`);
    },
  },
  {
    name: 'schedinfo',
    words: () => ['schedinfo', machine],
    says: /reservation +: 100\n[\s\S]*shares +: 1500/,
  },
  {
    name: 'autostart',
    before: off,
    words: () => ['autostart', machine],
    says: /marked as autostarted/,
    async check(context) {
      const { face } = context;
      await face.client.call(await face.autoStart(), 'AutoStartPowerOn', {});
      await context.bed.isSeen(machine, 'poweredOn', face.endpoint);
      expect(await context.bed.engineOf(machine), 'an engine, as with a start of the host');
    },
  },
  { name: 'dominfo of what starts by itself', words: () => ['dominfo', machine], says: /^Autostart: +enable$/m },
  {
    name: 'autostart --disable',
    words: () => ['autostart', machine, '--disable'],
    async check({ face }) {
      const config = await face.property<{ powerInfo?: unknown[] }>(face.hostSystem, 'config.autoStart');
      expect((config.powerInfo ?? []).length === 0, `no machine that starts: ${JSON.stringify(config)}`);
    },
  },
];

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../errors.ts';
import { specOf } from './vm-change.ts';

const boot = (text: string) => ({ boots: text });

test('options become a spec, and what was not said is not in it', () => {
  assert.deepEqual(specOf({}, boot), {});
  assert.deepEqual(
    specOf(
      {
        cpus: 4,
        memory: 8192,
        cpuHotAdd: true,
        extra: ['guestinfo.role=a=b', 'old='],
        cpuShares: 'high',
        memoryLimit: -1,
        memoryShares: '77',
        boot: 'ethernet-0, disk',
        bootRetry: 0,
        diskUuid: false,
      },
      boot,
    ),
    {
      numCPUs: 4,
      memoryMB: 8192,
      cpuHotAddEnabled: true,
      flags: { diskUuidEnabled: false },
      cpuAllocation: { shares: { level: 'high', shares: 0 } },
      memoryAllocation: { limit: -1, shares: { level: 'custom', shares: 77 } },
      bootOptions: { bootRetryEnabled: false, bootOrder: [{ boots: 'ethernet-0' }, { boots: 'disk' }] },
      extraConfig: [
        { _typeName: 'OptionValue', key: 'guestinfo.role', value: 'a=b' },
        { _typeName: 'OptionValue', key: 'old', value: '' },
      ],
    },
  );
  for (const wrong of [{ extra: ['novalue'] }, { cpuShares: 'many' }])
    assert.throws(() => specOf(wrong, boot), CliError);
});

import type { OptionService } from '@hypostyle/vim';
import type { MachineRecord } from '../record/machine-record.ts';

/** Names of the host's options, and of a machine's own in its `.vmx`, which come before them. */
export const settleRateKey = 'hypostyle.settle.rate';
export const settleVerifyKey = 'hypostyle.settle.verify';

type Options = Pick<OptionService, 'value'>;
type Extra = MachineRecord['configuration']['extra'];

/** How fast disks of a machine may settle, in bytes of the disk a second; 0: as fast as they can. */
export function settleRate(options: Options, extra: Extra): number {
  const own = Number(ownValue(extra, settleRateKey) ?? Number.NaN);
  const value = options.value(settleRateKey);
  const general = Number(typeof value === 'object' && '_value' in value ? value._value : value);
  const mebibytes = Number.isFinite(own) && own >= 0 ? own : general;
  return Math.floor(mebibytes * 2 ** 20);
}

/** Whether disks are checked before their machine may start, or while it runs. */
export function settleVerify(options: Options, extra: Extra): 'before' | 'background' {
  const value = ownValue(extra, settleVerifyKey) ?? options.value(settleVerifyKey);
  return value === 'before' ? 'before' : 'background';
}

function ownValue(extra: Extra, key: string): string | undefined {
  return extra.find(([name]) => name.toLowerCase() === key)?.[1];
}

import type { VirtualEthernetCard } from '@hypostyle/vim';
import type { VmxFile } from '../vmx/vmx-file.ts';
import { badDevice } from './device-draft.ts';
import type { Nic, NicBandwidth } from './machine-configuration.ts';

/** Shares of an adapter by their level, and those that a client may choose itself (VirtualEthernetCardResourceAllocation). */
const levelShares = { low: 25, normal: 50, high: 100 } as const;
const mostShares = 100;
/** Most megabits a second that are granted or reserved. */
const mostMegabits = 1_000_000;
const everything: NicBandwidth = { reservation: 0, limit: -1, level: 'normal', shares: levelShares.normal };

export function nicBandwidth({ bandwidth = everything }: Pick<Nic, 'bandwidth'>): NicBandwidth {
  return bandwidth;
}

/** What a spec makes of an adapter's allocation: members that it leaves out stay. InvalidDeviceSpec. */
export function appliedBandwidth(
  before: Pick<Nic, 'bandwidth'>,
  { resourceAllocation: asked }: Pick<VirtualEthernetCard, 'resourceAllocation'>,
  index: number,
): Pick<Nic, 'bandwidth'> {
  const kept = before.bandwidth === undefined ? {} : { bandwidth: before.bandwidth };
  if (asked === undefined) return kept;
  const was = nicBandwidth(before);
  const bad = (property: string, reason: string) => badDevice(index, `device.resourceAllocation.${property}`, reason);
  const limit = asked.limit === undefined ? was.limit : Number(asked.limit);
  if (limit !== -1 && (!Number.isSafeInteger(limit) || limit < 1 || limit > mostMegabits))
    throw bad('limit', `${limit} is neither -1 nor from 1 to ${mostMegabits}`);
  const reservation = asked.reservation === undefined ? was.reservation : Number(asked.reservation);
  if (!Number.isSafeInteger(reservation) || reservation < 0 || reservation > mostMegabits)
    throw bad('reservation', `${reservation} is not from 0 to ${mostMegabits}`);
  if (limit >= 0 && reservation > limit) throw bad('reservation', `${reservation} is more than the limit of ${limit}`);
  const level = asked.share?.level ?? was.level;
  if (!['low', 'normal', 'high', 'custom'].includes(level)) throw bad('share', 'its level is not known');
  const shares = level === 'custom' ? Number(asked.share?.shares ?? was.shares) : levelShares[level];
  if (!Number.isSafeInteger(shares) || shares < 0 || shares > mostShares)
    throw bad('share', `${shares} is not from 0 to ${mostShares}`);
  const same = limit === was.limit && reservation === was.reservation && level === was.level && shares === was.shares;
  return same ? kept : { bandwidth: { reservation, limit, level, shares } };
}

/** `prefix`: such as `ethernet0`. What cannot be understood counts as not said. */
export function readBandwidth(vmx: Pick<VmxFile, 'get'>, prefix: string): Pick<Nic, 'bandwidth'> {
  const number = (key: string, least: number, most: number) => {
    const text = vmx.get(`${prefix}.bandwidth.${key}`) ?? '';
    const value = /^\d{1,7}$/.test(text) ? Number(text) : undefined;
    return value !== undefined && value >= least && value <= most ? value : undefined;
  };
  const limit = number('limit', 1, mostMegabits) ?? -1;
  const reserved = number('reservation', 0, mostMegabits) ?? 0;
  const reservation = limit < 0 ? reserved : Math.min(limit, reserved);
  const word = vmx.get(`${prefix}.bandwidth.shares`)?.toLowerCase() ?? 'normal';
  const custom = number('shares', 0, mostShares);
  const level = word === 'low' || word === 'high' ? word : custom === undefined ? 'normal' : 'custom';
  const shares = level === 'custom' ? (custom ?? levelShares.normal) : levelShares[level];
  const said = limit >= 0 || reservation > 0 || level !== 'normal';
  return said ? { bandwidth: { reservation, limit, level, shares } } : {};
}

export function writeBandwidth(
  writer: { unless(key: string, value: string, byDefault: string): void },
  prefix: string,
  nic: Pick<Nic, 'bandwidth'>,
): void {
  const { reservation, limit, level, shares } = nicBandwidth(nic);
  writer.unless(`${prefix}.bandwidth.limit`, limit < 0 ? 'unlimited' : String(limit), 'unlimited');
  writer.unless(`${prefix}.bandwidth.reservation`, String(reservation), '0');
  writer.unless(`${prefix}.bandwidth.shares`, level === 'custom' ? String(shares) : level, 'normal');
}

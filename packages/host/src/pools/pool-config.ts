import { data, fault, type ResourceAllocationInfo, type ResourceConfigSpec, type VimFault } from '@hypostyle/vim';
import type { PoolAllocation } from './pool-record.ts';
import { invalid } from './pools.ts';

const levelShares = {
  cpu: { low: 2000, normal: 4000, high: 8000 },
  memory: { low: 81_920, normal: 163_840, high: 327_680 },
} as const;

export const defaultAllocation = (kind: 'cpu' | 'memory'): PoolAllocation => ({
  reservation: 0,
  expandable: true,
  limit: -1,
  level: 'normal',
  shares: levelShares[kind].normal,
});

/** ResourcePool.QueryResourceConfigOption */
export function resourceConfigOption() {
  const option = (kind: 'cpu' | 'memory') =>
    data('ResourceAllocationOption', {
      sharesOption: data('SharesOption', {
        sharesOption: data('IntOption', { min: 1, max: 4_000_000, defaultValue: defaultAllocation(kind).shares }),
        defaultLevel: 'normal',
      }),
    });
  return data('ResourceConfigOption', { cpuAllocationOption: option('cpu'), memoryAllocationOption: option('memory') });
}

/** What a spec makes of an allocation: members that it leaves out stay. InvalidArgument. */
export function applyAllocation(
  before: PoolAllocation,
  spec: ResourceAllocationInfo,
  kind: 'cpu' | 'memory',
): PoolAllocation {
  const reservation = spec.reservation === undefined ? before.reservation : Number(spec.reservation);
  const limit = spec.limit === undefined ? before.limit : Number(spec.limit);
  const property = `spec.${kind}Allocation`;
  if (reservation < 0) throw invalid(`${property}.reservation`, 'A reservation is not negative.');
  if (limit < -1) throw invalid(`${property}.limit`, 'A limit is -1, which is none, or more.');
  if (limit !== -1 && limit < reservation) throw invalid(`${property}.limit`, 'A limit is not below the reservation.');
  const level = spec.shares?.level ?? before.level;
  const custom = spec.shares === undefined ? before.shares : spec.shares.shares;
  if (level === 'custom' && (custom < 1 || custom > 4_000_000))
    throw invalid(`${property}.shares`, 'Shares are between 1 and 4,000,000.');
  return {
    reservation,
    limit,
    expandable: spec.expandableReservation ?? before.expandable,
    level,
    shares: level === 'custom' ? custom : levelShares[kind][level],
  };
}

/** ConcurrentAccess where the spec was made from another version. */
export function checkVersion(spec: ResourceConfigSpec, modified: string): void {
  if (spec.changeVersion !== undefined && spec.changeVersion !== '' && spec.changeVersion !== modified)
    throw fault('ConcurrentAccess', {}, 'The resource pool was changed after it was read; read it again.');
}

/** More is reserved than the pool above has left. MHz or MiB. */
export function insufficient(kind: 'cpu' | 'memory', unreserved: number, requested: number): VimFault {
  const [type, scale] =
    kind === 'cpu'
      ? (['InsufficientCpuResourcesFault', 1] as const)
      : (['InsufficientMemoryResourcesFault', 2 ** 20] as const);
  return fault(
    type,
    { unreserved: unreserved * scale, requested: requested * scale },
    `The pool above has ${unreserved} ${kind === 'cpu' ? 'MHz' : 'MiB'} unreserved, and ${requested} are asked for.`,
  );
}

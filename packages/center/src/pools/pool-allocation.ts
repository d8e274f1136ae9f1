import { data, fault, type ResourceAllocationInfo, type ResourceConfigSpec, type VimFault } from '@hypostyle/vim';

export type Resource = 'cpu' | 'memory';

/** MHz, or MiB. */
export const resources: readonly Resource[] = ['cpu', 'memory'];

const levels = {
  cpu: { low: 2_000, normal: 4_000, high: 8_000 },
  memory: { low: 81_920, normal: 163_840, high: 327_680 },
} as const;

const members = { cpu: 'cpuAllocation', memory: 'memoryAllocation' } as const;

export function allocationOf(config: ResourceConfigSpec, resource: Resource): ResourceAllocationInfo {
  return config[members[resource]];
}

export function reservationOf(config: ResourceConfigSpec, resource: Resource): number {
  return Number(allocationOf(config, resource).reservation ?? 0);
}

/** Resources of a new pool: everything, and no more than its share. `entity` is laid over when shown. */
export function plainResources(): ResourceConfigSpec {
  return data('ResourceConfigSpec', {
    cpuAllocation: plainAllocation('cpu'),
    memoryAllocation: plainAllocation('memory'),
    scaleDescendantsShares: 'disabled',
  });
}

function plainAllocation(resource: Resource): ResourceAllocationInfo {
  return data('ResourceAllocationInfo', {
    reservation: 0n,
    expandableReservation: true,
    limit: -1n,
    shares: data('SharesInfo', { shares: levels[resource].normal, level: 'normal' }),
  });
}

/**
 * What a spec makes of a pool's resources: members that it leaves out stay. Throws InvalidArgument, and ConcurrentAccess
 * where it was made from an older version.
 */
export function changedResources(before: ResourceConfigSpec, spec: ResourceConfigSpec, now: Date): ResourceConfigSpec {
  if (spec.changeVersion && spec.changeVersion !== before.changeVersion)
    throw fault('ConcurrentAccess', {}, 'The resource pool was changed after it was read; read it again.');
  const scale = spec.scaleDescendantsShares ?? before.scaleDescendantsShares ?? 'disabled';
  if (!['disabled', 'scaleCpuAndMemoryShares'].includes(scale)) throw invalid('scaleDescendantsShares', 'it is no way');
  const lastModified = now.toISOString();
  return data('ResourceConfigSpec', {
    changeVersion: lastModified,
    lastModified,
    cpuAllocation: changedAllocation(before.cpuAllocation, spec.cpuAllocation, 'cpu'),
    memoryAllocation: changedAllocation(before.memoryAllocation, spec.memoryAllocation, 'memory'),
    scaleDescendantsShares: scale,
  });
}

function changedAllocation(
  before: ResourceAllocationInfo,
  spec: ResourceAllocationInfo,
  resource: Resource,
): ResourceAllocationInfo {
  const member = members[resource];
  const reservation = BigInt(spec.reservation ?? before.reservation ?? 0);
  const limit = BigInt(spec.limit ?? before.limit ?? -1);
  if (reservation < 0n) throw invalid(`${member}.reservation`, 'a reservation is not negative');
  if (limit < -1n) throw invalid(`${member}.limit`, 'a limit is -1, which is none, or more');
  if (limit !== -1n && limit < reservation) throw invalid(`${member}.limit`, 'it is below the reservation');
  const level = spec.shares?.level ?? before.shares?.level ?? 'normal';
  const custom = spec.shares?.shares ?? before.shares?.shares ?? levels[resource].normal;
  if (level === 'custom' && (custom < 1 || custom > 4_000_000))
    throw invalid(`${member}.shares`, 'shares are between 1 and 4,000,000');
  return data('ResourceAllocationInfo', {
    reservation,
    expandableReservation: spec.expandableReservation ?? before.expandableReservation ?? true,
    limit,
    shares: data('SharesInfo', { shares: level === 'custom' ? custom : levels[resource][level], level }),
  });
}

/** ResourcePool.QueryResourceConfigOption */
export function resourceConfigOption() {
  const option = (resource: Resource) =>
    data('ResourceAllocationOption', {
      sharesOption: data('SharesOption', {
        sharesOption: data('IntOption', {
          valueIsReadonly: false,
          min: 1,
          max: 4_000_000,
          defaultValue: levels[resource].normal,
        }),
        defaultLevel: 'normal',
      }),
    });
  return data('ResourceConfigOption', { cpuAllocationOption: option('cpu'), memoryAllocationOption: option('memory') });
}

/** More is reserved than the pool above has left. MHz or MiB. */
export function insufficient(resource: Resource, unreserved: number, requested: number): VimFault {
  const cpu = resource === 'cpu';
  const scale = cpu ? 1 : 2 ** 20;
  return fault(
    cpu ? 'InsufficientCpuResourcesFault' : 'InsufficientMemoryResourcesFault',
    { unreserved: BigInt(Math.trunc(unreserved * scale)), requested: BigInt(Math.trunc(requested * scale)) },
    `The pool has ${unreserved} ${cpu ? 'MHz' : 'MiB'} unreserved, and ${requested} are asked for.`,
  );
}

function invalid(property: string, reason: string) {
  return fault('InvalidArgument', { invalidProperty: `spec.${property}` }, `spec.${property} is invalid: ${reason}.`);
}

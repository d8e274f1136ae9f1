import { OvfError } from '../errors.ts';
import type { Envelope, HardwareItem } from './envelope.ts';

/** The deployment option to use: the one asked for, else the default, else the first (DSP0243 9.8). Throws `configuration-unknown`. */
export function selectConfiguration(envelope: Envelope, asked: string | undefined): string | undefined {
  const configurations = envelope.deploymentOptionSection?.configurations ?? [];
  if (asked === undefined) return (configurations.find((option) => option.isDefault) ?? configurations[0])?.id;
  if (configurations.some((option) => option.id === asked)) return asked;
  const known = configurations.map((option) => option.id).join(', ') || 'none';
  throw new OvfError('configuration-unknown', `there is no deployment option "${asked}", only ${known}`, {
    section: 'DeploymentOptionSection',
    line: envelope.deploymentOptionSection?.line,
  });
}

/** An item with the bounds of its quantity. */
export interface BoundedItem {
  readonly item: HardwareItem;
  readonly minimum?: HardwareItem;
  readonly maximum?: HardwareItem;
}

/**
 * The items of one deployment option, in the order in which their InstanceIDs appear. An item for the option stands in
 * place of the one for all with the same InstanceID (DSP0243 9.8); of two for it, the later one.
 */
export function configuredItems(items: readonly HardwareItem[], configuration: string | undefined): BoundedItem[] {
  const chosen = new Map<string, Map<string, HardwareItem>>();
  for (const item of items) {
    const named = item.configurations !== undefined;
    if (named && (configuration === undefined || !item.configurations.includes(configuration))) continue;
    const bound = item.bound ?? 'normal';
    const byBound = chosen.get(item.instanceId) ?? new Map<string, HardwareItem>();
    chosen.set(item.instanceId, byBound);
    if (named || byBound.get(bound)?.configurations === undefined) byBound.set(bound, item);
  }
  return [...chosen.values()].flatMap((byBound) => {
    const item = byBound.get('normal');
    const minimum = byBound.get('min');
    const maximum = byBound.get('max');
    return item === undefined ? [] : [{ item, ...(minimum && { minimum }), ...(maximum && { maximum }) }];
  });
}

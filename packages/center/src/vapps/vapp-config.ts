import { randomUUID } from 'node:crypto';
import { changedVApp } from '@hypostyle/services';
import {
  data,
  fault,
  type ManagedObjectReference,
  type VAppConfigInfo,
  type VAppConfigSpec,
  type VAppEntityConfigInfo,
} from '@hypostyle/vim';

const startActions = ['none', 'powerOn'];
const stopActions = ['none', 'powerOff', 'guestShutdown', 'suspend'];
const longestAnnotation = 65_536;
const longestDelay = 86_400;

export interface ConfigChange {
  readonly spec: VAppConfigSpec;
  /** What the vApp has: only those have an order. */
  readonly members: readonly ManagedObjectReference[];
  /** Name of the parameter, for faults. */
  readonly parameter: 'spec' | 'configSpec';
}

/**
 * The configuration of a vApp that a spec makes: of `before`, or a new one. Throws InvalidArgument and the faults of its
 * properties.
 */
export function changedConfig(
  before: VAppConfigInfo | undefined,
  { spec, members, parameter }: ConfigChange,
): VAppConfigInfo {
  const invalid = (member: string, reason: string) =>
    fault(
      'InvalidArgument',
      { invalidProperty: member === '' ? parameter : `${parameter}.${member}` },
      `${parameter}${member === '' ? '' : `.${member}`} is invalid: ${reason}.`,
    );
  const { _typeName: _, ...common } = changedVApp(before, spec as never, invalid);
  const annotation = spec.annotation ?? before?.annotation ?? '';
  if (annotation.length > longestAnnotation) throw invalid('annotation', `it has over ${longestAnnotation} characters`);
  const entities = new Map((before?.entityConfig ?? []).map((entity) => [entity.key?.value, entity]));
  for (const change of spec.entityConfig ?? []) {
    const key = members.find(({ value }) => value === change.key?.value);
    if (key === undefined) throw invalid('entityConfig.key', 'it is no machine or vApp of this vApp');
    checkEntity(change, invalid);
    entities.set(key.value, { ...entities.get(key.value), ...defined(change), key: key as never });
  }
  const managedBy = spec.managedBy ?? before?.managedBy;
  return data('VAppConfigInfo', {
    ...common,
    annotation,
    instanceUuid: spec.instanceUuid || before?.instanceUuid || randomUUID(),
    // One that names no extension takes it away.
    ...(managedBy === undefined || managedBy.extensionKey === '' ? {} : { managedBy }),
    // Of what has left nothing is kept.
    entityConfig: [...entities.values()].filter(({ key }) => members.some(({ value }) => value === key?.value)),
  });
}

function checkEntity(
  { startAction, stopAction, startOrder, startDelay, stopDelay }: VAppEntityConfigInfo,
  invalid: (member: string, reason: string) => Error,
): void {
  if (startAction !== undefined && !startActions.includes(startAction))
    throw invalid('entityConfig.startAction', `it is one of ${startActions.join(', ')}`);
  if (stopAction !== undefined && !stopActions.includes(stopAction))
    throw invalid('entityConfig.stopAction', `it is one of ${stopActions.join(', ')}`);
  if (startOrder !== undefined && startOrder < 0) throw invalid('entityConfig.startOrder', 'it is less than 0');
  for (const [member, delay] of Object.entries({ startDelay, stopDelay }))
    if (delay !== undefined && (delay < 0 || delay > longestDelay))
      throw invalid(`entityConfig.${member}`, `it is between 0 and ${longestDelay} seconds`);
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

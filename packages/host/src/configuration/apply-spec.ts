import { randomUUID } from 'node:crypto';
import { fault, type ResourceAllocationInfo, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import { applyDeviceChanges } from './apply-devices.ts';
import { applyBootOrder } from './boot-order.ts';
import type { DeviceEffect, SpecContext } from './device-draft.ts';
import { equipmentOf } from './equipment.ts';
import { isSharingKey, sharedDisks } from './extra-sharing.ts';
import { isTrackingKey, trackedDisks, trackingAsked } from './extra-tracking.ts';
import { invalid } from './invalid.ts';
import type { Allocation, MachineConfiguration, Nic } from './machine-configuration.ts';
import { optionText } from './option-text.ts';
import { parseForward } from './port-forward.ts';
import { refuseMembers } from './refused-members.ts';
import { applySettings, setting, withEntry } from './settings.ts';
import { isReservedExtraKey } from './vmx-keys.ts';

/** A configuration and what has to be done to the files before it is true. */
export interface AppliedSpec {
  readonly configuration: MachineConfiguration;
  readonly effects: readonly DeviceEffect[];
  /** Devices by key that are to be connected now, or not. */
  readonly connections: ReadonlyMap<number, boolean>;
}

const normalAllocation = (normal: number): Allocation => ({
  reservation: 0,
  limit: -1,
  level: 'normal',
  shares: normal,
});

/** A machine without devices, as CreateVM_Task begins with. */
export function newConfiguration(name: string): MachineConfiguration {
  return {
    name,
    uuid: randomUUID(),
    instanceUuid: randomUUID(),
    guestId: 'otherGuest64',
    hardwareVersion: 19,
    annotation: '',
    firmware: 'bios',
    secureBoot: false,
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 128,
    cpuHotAdd: false,
    memoryHotAdd: false,
    nvram: `${name}.nvram`,
    controllers: [
      { key: 200, family: 'ide', model: 'ide', bus: 0 },
      { key: 201, family: 'ide', model: 'ide', bus: 1 },
    ],
    disks: [],
    cdroms: [],
    nics: [],
    serials: [],
    floppies: [],
    bootOrder: [],
    bootDisks: [],
    bootNics: [],
    enterSetup: false,
    bootDelayMilliseconds: 0,
    cpuAllocation: normalAllocation(1000),
    memoryAllocation: normalAllocation(1280),
    changeTracking: false,
    template: false,
    hasVApp: false,
    extra: [],
  };
}

/** Applies a spec to a configuration. Throws the documented faults; `InvalidArgument` names the member. */
export function applySpec(
  before: MachineConfiguration,
  spec: VirtualMachineConfigSpec,
  context: SpecContext,
): AppliedSpec {
  refuseMembers(spec);
  const cpus = integer('numCPUs', spec.numCPUs, before.cpus, 1, context.limits.cpus);
  const coresPerSocket = integer('numCoresPerSocket', spec.numCoresPerSocket, before.coresPerSocket, 1, cpus);
  if (cpus % coresPerSocket !== 0) {
    throw invalid('numCoresPerSocket', `${coresPerSocket} cores a socket do not divide ${cpus} processors`);
  }
  const memoryMiB = integer('memoryMB', spec.memoryMB, before.memoryMiB, 4, context.limits.memoryMiB);
  if (memoryMiB % 4 !== 0) throw invalid('memoryMB', `${memoryMiB} is not a multiple of 4`);
  const devices = applyDeviceChanges(before, spec.deviceChange ?? [], context);
  const boot = spec.bootOptions;
  const tracking = trackingAsked(spec);
  const shared = sharedDisks(devices.configuration, spec.extraConfig ?? []);
  const extra = applySettings(
    extraConfig(
      devices.configuration.extra,
      (spec.extraConfig ?? []).filter(({ key }) => !forwardsKey.test(key) && !isTrackingKey(key) && !isSharingKey(key)),
    ),
    spec,
  );
  const configuration: MachineConfiguration = {
    ...devices.configuration,
    name: spec.name === undefined ? before.name : machineName(spec.name),
    uuid: spec.uuid === undefined ? before.uuid : uuid('uuid', spec.uuid),
    instanceUuid: spec.instanceUuid === undefined ? before.instanceUuid : uuid('instanceUuid', spec.instanceUuid),
    guestId: spec.guestId === undefined ? before.guestId : guestId(spec.guestId, context),
    hardwareVersion: spec.version === undefined ? before.hardwareVersion : hardwareVersion(spec.version),
    annotation: spec.annotation ?? before.annotation,
    firmware: spec.firmware === undefined ? before.firmware : firmware(spec.firmware),
    secureBoot: boot?.efiSecureBootEnabled ?? before.secureBoot,
    cpus,
    coresPerSocket,
    memoryMiB,
    cpuHotAdd: spec.cpuHotAddEnabled ?? before.cpuHotAdd,
    memoryHotAdd: spec.memoryHotAddEnabled ?? before.memoryHotAdd,
    ...applyBootOrder(before, boot?.bootOrder, devices),
    enterSetup: boot?.enterBIOSSetup ?? before.enterSetup,
    bootDelayMilliseconds: integer(
      'bootOptions.bootDelay',
      boot?.bootDelay,
      before.bootDelayMilliseconds,
      0,
      10_000_000,
    ),
    cpuAllocation: allocation(
      'cpuAllocation',
      spec.cpuAllocation,
      rescale(before.cpuAllocation, 1000 * cpus),
      1000 * cpus,
    ),
    memoryAllocation: lockedMemory(
      extra,
      memoryMiB,
      allocation(
        'memoryAllocation',
        spec.memoryAllocation,
        rescale(before.memoryAllocation, 10 * memoryMiB),
        10 * memoryMiB,
      ),
    ),
    changeTracking: tracking ?? before.changeTracking,
    disks: trackedDisks(
      {
        controllers: devices.configuration.controllers,
        disks: spec.changeTrackingEnabled ? shared.disks.map((disk) => ({ ...disk, tracked: true })) : shared.disks,
      },
      spec.extraConfig ?? [],
    ),
    nics: forwardedNics(devices.configuration.nics, spec.extraConfig ?? []),
    extra,
  };
  if (configuration.secureBoot && configuration.firmware !== 'efi') {
    throw invalid('bootOptions.efiSecureBootEnabled', 'secure boot needs EFI firmware');
  }
  if (equipmentOf(configuration).tpm && configuration.firmware !== 'efi')
    throw invalid('firmware', 'a machine with a TPM has EFI firmware');
  if (tracking && !context.changedBlocks) {
    throw fault('NotSupported', {}, 'configSpec.changeTrackingEnabled: changed blocks cannot be told here.');
  }
  return { configuration, effects: [...devices.effects, ...shared.effects], connections: devices.connections };
}

function integer(
  property: string,
  value: number | bigint | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < least || number > most) {
    throw invalid(property, `${value} is not from ${least} to ${most}`);
  }
  return number;
}

/** A machine's name: 1 to 80 characters as VMware allows, control characters refused. */
export function machineName(name: string): string {
  if (name.trim() === '' || name.length > 80 || /[\u0000-\u001f\u007f]/.test(name)) {
    throw fault(
      'InvalidName',
      { name: name.slice(0, 200) },
      `The name '${name.slice(0, 200)}' is invalid: it must have 1 to 80 printable characters.`,
    );
  }
  return name;
}

function uuid(property: string, value: string): string {
  const digits = value.toLowerCase().replace(/[-\s]/g, '');
  if (!/^[0-9a-f]{32}$/.test(digits)) throw invalid(property, `'${value.slice(0, 60)}' is no UUID`);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function guestId(value: string, context: SpecContext): string {
  if (!context.guestOs.known(value)) throw invalid('guestId', `'${value.slice(0, 60)}' is no guest that we know`);
  return value;
}

function hardwareVersion(value: string): number {
  const match = /^vmx-(\d{2})$/.exec(value);
  const number = Number(match?.[1]);
  if (match === null || number < 3 || number > 21)
    throw invalid('version', `'${value.slice(0, 20)}' is not from vmx-03 to vmx-21`);
  return number;
}

function firmware(value: string): 'bios' | 'efi' {
  if (value !== 'bios' && value !== 'efi') throw invalid('firmware', `'${value.slice(0, 20)}' is neither bios nor efi`);
  return value;
}

function rescale(before: Allocation, normal: number): Allocation {
  const factor = { low: 0.5, normal: 1, high: 2, custom: undefined }[before.level];
  return factor === undefined ? before : { ...before, shares: normal * factor };
}

function allocation(
  property: string,
  change: ResourceAllocationInfo | undefined,
  before: Allocation,
  normal: number,
): Allocation {
  if (change === undefined) return before;
  const reservation = integer(`${property}.reservation`, change.reservation, before.reservation, 0, 2 ** 40);
  const limit = integer(`${property}.limit`, change.limit, before.limit, -1, 2 ** 40);
  if (limit >= 0 && reservation > limit)
    throw invalid(`${property}.reservation`, `${reservation} is over the limit of ${limit}`);
  const level = change.shares?.level ?? before.level;
  const shares =
    level === 'custom' ? integer(`${property}.shares.shares`, change.shares?.shares, before.shares, 0, 1_000_000) : 0;
  return rescale({ reservation, limit, level, shares }, normal);
}

/** A machine whose memory is locked has all of it reserved, however much that is. */
function lockedMemory(extra: MachineConfiguration['extra'], memoryMiB: number, asked: Allocation): Allocation {
  return setting({ extra }, 'memoryLocked') ? { ...asked, reservation: memoryMiB, limit: -1 } : asked;
}

const forwardsKey = /^ethernet(\d+)\.forwards$/i;

/** Forwards to a NIC's guest, given as extra configuration: `tcp:127.0.0.1:8080:80`, a list; empty takes them away. */
function forwardedNics(
  nics: readonly Nic[],
  changes: readonly { readonly key: string; readonly value?: unknown }[],
): Nic[] {
  return changes.reduce<Nic[]>(
    (all, { key, value }) => {
      const number = forwardsKey.exec(key)?.[1];
      if (number === undefined) return all;
      if (!all.some((nic) => nic.number === Number(number)))
        throw invalid('extraConfig', `'${key}': there is no such network adapter`);
      const forwards = optionText(value)
        .split(',')
        .map((text) => text.trim())
        .filter((text) => text !== '');
      if (forwards.length > 64) throw invalid('extraConfig', `'${key}' has more than 64 forwards`);
      for (const text of forwards) {
        if (parseForward(text) === undefined)
          throw invalid('extraConfig', `'${text.slice(0, 60)}' is no forward; write it as tcp:127.0.0.1:8080:80`);
      }
      return all.map((nic) => (nic.number === Number(number) ? { ...nic, forwards } : nic));
    },
    [...nics],
  );
}

function extraConfig(
  before: MachineConfiguration['extra'],
  changes: readonly { readonly key: string; readonly value?: unknown }[],
): MachineConfiguration['extra'] {
  let entries = before;
  for (const { key, value } of changes) {
    if (!/^[\w.:-]{1,256}$/.test(key)) throw invalid('extraConfig', `'${key.slice(0, 60)}' is no key`);
    if (isReservedExtraKey(key)) throw invalid('extraConfig', `'${key}' has a place of its own in the configuration`);
    const text = optionText(value);
    if (text.length > 65_536) throw invalid('extraConfig', `the value of '${key}' is over 65536 characters`);
    entries = withEntry(entries, key, text);
  }
  return entries;
}

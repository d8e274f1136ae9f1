import { type BoundedItem, configuredItems, selectConfiguration } from '../envelope/deployment-configuration.ts';
import { present } from '../envelope/element-reader.ts';
import type { Envelope, HardwareItem, VirtualHardwareSection, VirtualSystem } from '../envelope/envelope.ts';
import { parseAllocationUnit, quantityInBytes } from '../envelope/units.ts';
import { OvfError, type OvfWarning } from '../errors.ts';
import type { HardwareDescription, QuantityRange, ResourceAllocation } from './hardware-description.ts';
import { configRecord, DeviceResolver } from './hardware-devices.ts';
import { resourceType, subTypes } from './hardware-models.ts';

export interface HardwareOptions {
  /** Id of a deployment option; else the envelope's default. */
  readonly configuration?: string;
  /** Families that the deployer builds, best first; `vmx-*` and then any by default. A pattern matches a whole family. */
  readonly systemTypes?: readonly RegExp[];
  /** Name of the descriptor in messages. */
  readonly fileName?: string;
}

const mebibyte = 2 ** 20;

/**
 * The hardware that a deployer builds for a virtual system. A required item that cannot be built throws
 * {@link OvfError} `hardware-unsupported` with InstanceID and line; an optional one becomes a warning. Other codes:
 * `configuration-unknown`, `hardware-invalid`, `unit-unknown`.
 */
export function resolveHardware(
  envelope: Envelope,
  system: VirtualSystem,
  options: HardwareOptions = {},
): HardwareDescription {
  const configuration = selectConfiguration(envelope, options.configuration);
  const section = selectSection(system, options.systemTypes ?? [/^vmx-\d+$/i, /.*/]);
  const systemTypes = subTypes(section.system?.type);
  const versions = systemTypes.flatMap((type) => /^vmx-(\d{1,3})$/.exec(type)?.[1] ?? []).map(Number);
  const items = configuredItems(section.items, configuration);
  const warnings: OvfWarning[] = [];
  const devices = new DeviceResolver(
    envelope,
    items.map(({ item }) => item),
    options.fileName,
    warnings,
  );
  const config = configRecord(section.config);
  const cpu = only(items, resourceType.processor, options);
  const memory = only(items, resourceType.memory, options);
  const cpus = cpu?.item.virtualQuantity ?? 1;
  if (cpus < 1) throw new OvfError('hardware-invalid', 'there must be at least one CPU', at(cpu?.item, options));
  const memoryMiB = memory === undefined ? 512 : mebibytes(memory.item.virtualQuantity ?? 0, memory.item, options);
  if (memoryMiB < 1) throw new OvfError('hardware-invalid', 'there must be memory', at(memory?.item, options));
  const said = cpu?.item.coresPerSocket ?? 1;
  const coresPerSocket = cpus % said === 0 ? said : 1;
  if (coresPerSocket !== said) {
    warnings.push({ detail: `${cpus} CPUs are not sockets of ${said} cores`, location: at(cpu?.item, options) });
  }
  return {
    ...present('configuration', configuration),
    systemTypes,
    ...(versions.length > 0 ? { hardwareVersion: versions.reduce((one, other) => Math.max(one, other)) } : {}),
    cpus,
    coresPerSocket,
    memoryMiB,
    cpuRange: range(cpu, (quantity) => quantity),
    memoryRangeMiB: range(memory, (quantity, item) => mebibytes(quantity, item, options)),
    cpuAllocation: allocation(cpu?.item, (quantity, item) => megahertz(quantity, item, options)),
    memoryAllocation: allocation(memory?.item, (quantity, item) => mebibytes(quantity, item, options)),
    ...devices.resolve(),
    firmware: config.firmware?.toLowerCase() === 'efi' ? 'efi' : 'bios',
    secureBoot: config['bootOptions.efiSecureBootEnabled']?.toLowerCase() === 'true',
    config,
    extraConfig: configRecord(section.extraConfig),
    transports: section.transports,
    warnings,
  };
}

function selectSection(system: VirtualSystem, patterns: readonly RegExp[]): VirtualHardwareSection {
  for (const pattern of patterns) {
    for (const section of system.hardware) {
      const types = subTypes(section.system?.type);
      if ((types.length === 0 ? [''] : types).some((type) => pattern.test(type))) return section;
    }
  }
  throw new OvfError('hardware-unsupported', `no hardware of ${system.id} is of a family that can be built`, {
    section: 'VirtualHardwareSection',
    line: system.hardware[0]?.line ?? system.line,
  });
}

function at(item: HardwareItem | undefined, options: HardwareOptions) {
  return { file: options.fileName, line: item?.line, section: 'VirtualHardwareSection' };
}

/** The one item of a type. */
function only(items: readonly BoundedItem[], type: number, options: HardwareOptions): BoundedItem | undefined {
  const found = items.filter(({ item }) => item.resourceType === type);
  if (found.length > 1) {
    const ids = found.map(({ item }) => item.instanceId).join(', ');
    throw new OvfError('hardware-invalid', `the items ${ids} are both of type ${type}`, at(found[1]!.item, options));
  }
  return found[0];
}

function mebibytes(quantity: number, item: HardwareItem, options: HardwareOptions): number {
  const unit = item.allocationUnits ?? item.virtualQuantityUnits ?? 'byte * 2^20';
  return Math.ceil(quantityInBytes(quantity, unit, at(item, options)) / mebibyte);
}

function megahertz(quantity: number, item: HardwareItem, options: HardwareOptions): number {
  const { base, factor } = parseAllocationUnit(item.allocationUnits ?? 'hertz * 10^6', at(item, options));
  return base === 'hertz' ? Math.round((quantity * factor) / 1e6) : quantity;
}

/** Bounds stand in VirtualQuantity, or in Reservation in older descriptors. */
function range(
  bounded: BoundedItem | undefined,
  convert: (quantity: number, item: HardwareItem) => number,
): QuantityRange {
  const bound = (item: HardwareItem | undefined) => {
    const quantity = item?.virtualQuantity ?? item?.reservation;
    return item === undefined || quantity === undefined ? undefined : convert(quantity, item);
  };
  return { ...present('minimum', bound(bounded?.minimum)), ...present('maximum', bound(bounded?.maximum)) };
}

function allocation(
  item: HardwareItem | undefined,
  convert: (quantity: number, item: HardwareItem) => number,
): ResourceAllocation {
  if (item === undefined) return {};
  const { reservation, limit, weight } = item;
  return {
    ...present('reservation', reservation === undefined ? undefined : convert(reservation, item)),
    ...present('limit', limit === undefined || limit < 0 ? undefined : convert(limit, item)),
    ...present('weight', weight),
  };
}

import {
  type Envelope,
  type HardwareDescription,
  type ResolvedProperty,
  resolveHardware,
  type VirtualSystem,
} from '@hypostyle/ovf';
import {
  data,
  type OvfCreateImportSpecParams,
  type OvfFileItem,
  type VimFault,
  type VirtualMachineConfigSpec,
  type VmConfigSpec,
} from '@hypostyle/vim';
import { allocationInfo, configOptions, extraOptions } from './config-options.ts';
import { type DeviceChanges, deviceChanges, fileItem, type NamedNetwork, type Provisioning } from './device-changes.ts';
import { efiBootWarning } from './efi-boot.ts';
import { guestIdentifier } from './guest-identifiers.ts';
import { nvramDeviceId, nvramKey } from './import-devices.ts';
import { ovfFaults } from './ovf-faults.ts';
import { keptSections } from './ovf-sections.ts';
import { localizerOf, vAppProducts, vAppProperties } from './vapp-properties.ts';

/** What the machines of one package share. */
export interface PackageContext {
  readonly envelope: Envelope;
  readonly parameters: OvfCreateImportSpecParams;
  readonly properties: readonly ResolvedProperty[];
  readonly provisioning: Provisioning;
  readonly networkOf: (name: string | undefined) => NamedNetwork | undefined;
  /** Deployment option; undefined for the descriptor's default. */
  readonly configuration: string | undefined;
  readonly maximumHardwareVersion: number;
  /** What is remarked on the way. */
  readonly warnings: VimFault[];
  /** What makes the import impossible. */
  readonly errors: VimFault[];
}

export interface MachineImport {
  readonly configSpec: VirtualMachineConfigSpec;
  readonly fileItems: readonly OvfFileItem[];
}

/** One virtual system as a machine to be made, with the files that are to be sent. Undefined: errors say why. */
export function machineImport(context: PackageContext, system: VirtualSystem, name: string): MachineImport | undefined {
  const { envelope, configuration, properties, provisioning, networkOf, parameters, warnings, errors } = context;
  if (!isMachineName(name)) {
    errors.push(ovfFaults.invalidName(name.slice(0, 80)));
    return undefined;
  }
  const hardware = resolveHardware(envelope, system, configuration === undefined ? {} : { configuration });
  const family = hardware.hardwareVersion;
  if (family !== undefined && family > context.maximumHardwareVersion) {
    errors.push(ovfFaults.hardwareFamily(`vmx-${family}`));
    return undefined;
  }
  if (family === undefined && hardware.systemTypes.length > 0) {
    warnings.push(ovfFaults.hardwareFamily(hardware.systemTypes.join(' ')));
  }
  for (const { detail } of hardware.warnings) warnings.push(ovfFaults.remark(detail));
  const devices = deviceChanges({ machine: name, envelope, hardware, properties, provisioning, networkOf });
  warnings.push(...devices.warnings);
  if (devices.errors.length > 0) {
    errors.push(...devices.errors);
    return undefined;
  }
  const nvram = nvramFile(envelope, hardware, name);
  const parts = { name, envelope, system, hardware, devices, properties, parameters, nvram, warnings };
  const configSpec = machineSpec(parts);
  const efi = efiBootWarning(configSpec);
  if (efi !== undefined) warnings.push(efi);
  return {
    configSpec,
    fileItems: [...devices.fileItems, ...(nvram === undefined ? [] : [nvram])],
  };
}

export function isMachineName(name: string): boolean {
  return name !== '' && name.length <= 80 && !/[\x00-\x1f\x7f]/.test(name) && name.isWellFormed();
}

interface MachineParts {
  readonly name: string;
  readonly envelope: Envelope;
  readonly system: VirtualSystem;
  readonly hardware: HardwareDescription;
  readonly devices: DeviceChanges;
  readonly properties: readonly ResolvedProperty[];
  readonly parameters: OvfCreateImportSpecParams;
  readonly nvram: OvfFileItem | undefined;
  readonly warnings: VimFault[];
}

function machineSpec({ name, system, hardware, devices, nvram, warnings, ...parts }: MachineParts) {
  const inLanguage = localizerOf(parts.envelope, parts.parameters.locale);
  const guest = guestIdentifier(system.operatingSystem);
  if (!guest.exact && system.operatingSystem !== undefined) {
    const { id, description } = system.operatingSystem;
    warnings.push(ovfFaults.mappedGuest(id, description?.text ?? '', guest.guestId));
  }
  const { [nvramKey]: _reference, ...others } = hardware.extraConfig;
  const extraConfig = nvram === undefined ? others : { ...others, [nvramKey]: nvram.path };
  const annotation = system.annotations.map((section) => inLanguage(section.annotation)).join('\n');
  const cpuAllocation = allocationInfo(hardware.cpuAllocation);
  const memoryAllocation = allocationInfo(hardware.memoryAllocation);
  const vAppConfig = vAppConfigSpec({ name, system, hardware, devices, nvram, warnings, ...parts });
  return data('VirtualMachineConfigSpec', {
    ...configOptions(hardware),
    name,
    guestId: guest.guestId,
    ...(hardware.hardwareVersion === undefined
      ? {}
      : { version: `vmx-${String(hardware.hardwareVersion).padStart(2, '0')}` }),
    ...(annotation === '' ? {} : { annotation }),
    numCPUs: hardware.cpus,
    numCoresPerSocket: hardware.coresPerSocket,
    memoryMB: hardware.memoryMiB,
    ...(cpuAllocation === undefined ? {} : { cpuAllocation }),
    ...(memoryAllocation === undefined ? {} : { memoryAllocation }),
    deviceChange: devices.changes,
    extraConfig: extraOptions(extraConfig),
    ...(vAppConfig === undefined ? {} : { vAppConfig }),
  });
}

function vAppConfigSpec(parts: MachineParts): VmConfigSpec | undefined {
  const { envelope, system, hardware, parameters, properties } = parts;
  const inLanguage = localizerOf(envelope, parameters.locale);
  const given = new Set((parameters.propertyMapping ?? []).map(({ key }) => key));
  const products = vAppProducts(system.products, inLanguage);
  const infos = vAppProperties(properties, given, inLanguage);
  const eula = system.eulas.map(({ license }) => inLanguage(license));
  const { ipAllocationPolicy, ipProtocol } = parameters;
  const { install } = system;
  const sections = keptSections(system);
  const nothing = [products, infos, eula, hardware.transports, sections].every(({ length }) => length === 0);
  if (nothing && install === undefined && !ipAllocationPolicy) return undefined;
  return data('VmConfigSpec', {
    product: products.map((info) => data('VAppProductSpec', { operation: 'add', info })),
    property: infos.map((info) => data('VAppPropertySpec', { operation: 'add', info })),
    eula,
    ...(sections.length === 0 ? {} : { ovfSection: sections }),
    ovfEnvironmentTransport: hardware.transports,
    installBootRequired: install !== undefined,
    installBootStopDelay: install?.initialBootStopDelay ?? 0,
    ...(ipAllocationPolicy
      ? { ipAssignment: data('VAppIPAssignmentInfo', { ipAllocationPolicy, ...(ipProtocol ? { ipProtocol } : {}) }) }
      : {}),
  });
}

/** The NVRAM that comes with the package: `vmw:ExtraConfig` `nvram` = `ovf:/file/<id>`. */
function nvramFile(envelope: Envelope, hardware: HardwareDescription, name: string): OvfFileItem | undefined {
  const id = /^ovf:\/file\/(.+)$/.exec(hardware.extraConfig[nvramKey] ?? '')?.[1];
  const file = envelope.files.find((candidate) => candidate.id === id);
  return file === undefined ? undefined : fileItem(nvramDeviceId(name), file, 0, true);
}

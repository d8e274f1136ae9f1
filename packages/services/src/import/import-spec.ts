import {
  type Envelope,
  type HardwareDescription,
  type PropertyOverride,
  type ResolvedProperty,
  resolveHardware,
  resolveProperties,
  type VirtualSystem,
  validateDescriptor,
  virtualSystems,
} from '@hypostyle/ovf';
import {
  data,
  isData,
  type OvfCreateImportSpecParams,
  type OvfCreateImportSpecResult,
  type OvfFileItem,
  type VimFault,
  type VirtualMachineImportSpec,
  type VmConfigSpec,
} from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { allocationInfo, configOptions, extraOptions } from './config-options.ts';
import { type DeviceChanges, deviceChanges, fileItem, type NamedNetwork, type Provisioning } from './device-changes.ts';
import { guestIdentifier } from './guest-identifiers.ts';
import { nvramDeviceId, nvramKey } from './import-devices.ts';
import { localizedFaults, ovfFault, ovfFaults, validationFaults } from './ovf-faults.ts';
import { localizerOf, vAppProducts, vAppProperties } from './vapp-properties.ts';

export interface ImportSpecRequest {
  /** The OVF descriptor's text. */
  readonly descriptor: string;
  readonly parameters: OvfCreateImportSpecParams;
  /** Networks that a network card may be put on; the first one is where those go that nobody mapped. */
  readonly networks: readonly NamedNetwork[];
  /** Newest virtual hardware that can be built, 21 by default. */
  readonly maximumHardwareVersion?: number;
}

const provisionings: Readonly<Record<string, Provisioning>> = {
  '': 'thin',
  thin: 'thin',
  sparse: 'thin',
  thick: 'thick',
  flat: 'thick',
  eagerZeroedThick: 'eagerZeroedThick',
};

/** Values of `diskProvisioning` that a client may ask for. */
export const diskProvisionings: readonly string[] = ['thin', 'thick', 'eagerZeroedThick'];

/**
 * OvfManager.CreateImportSpec for one virtual system: the specification and the files that go with it, or `error`. What
 * is wrong with the package is in the result; only a wrong parameter is thrown (InvalidArgument).
 */
export async function createImportSpec(request: ImportSpecRequest): Promise<OvfCreateImportSpecResult> {
  const warnings: VimFault[] = [];
  const report = await validateDescriptor(request.descriptor, { mode: 'lax' });
  const { envelope, valid } = report;
  if (envelope === undefined || !valid) return failed(validationFaults(report), warnings);
  try {
    return specResult(envelope, request, warnings);
  } catch (error) {
    return failed([ovfFault(error, envelope)], warnings);
  }
}

/** The same result, with the machine's files on a datastore. */
export function importSpecOn(datastore: string, result: OvfCreateImportSpecResult): OvfCreateImportSpecResult {
  const { importSpec } = result;
  if (!isData('VirtualMachineImportSpec', importSpec)) return result;
  const files = data('VirtualMachineFileInfo', { vmPathName: `[${datastore}]` });
  const placed: VirtualMachineImportSpec = { ...importSpec, configSpec: { ...importSpec.configSpec, files } };
  return { ...result, importSpec: placed };
}

function failed(errors: readonly VimFault[], warnings: readonly VimFault[]): OvfCreateImportSpecResult {
  return data('OvfCreateImportSpecResult', { error: localizedFaults(errors), warning: localizedFaults(warnings) });
}

function specResult(envelope: Envelope, request: ImportSpecRequest, warnings: VimFault[]): OvfCreateImportSpecResult {
  const { parameters } = request;
  const systems = virtualSystems(envelope);
  const [system] = systems;
  if (system === undefined || systems.length > 1) {
    const message = `A package of ${systems.length} virtual systems cannot be imported, only one of one.`;
    return failed([ovfFaults.unsupportedElement(envelope.content.line ?? 0, envelope.content.kind, message)], warnings);
  }
  const name = parameters.entityName || (system.name?.text ?? system.id);
  if (name.length > 80 || /[\x00-\x1f\x7f]/.test(name) || !name.isWellFormed()) {
    return failed([ovfFaults.invalidName(name.slice(0, 80))], warnings);
  }
  const provisioning = provisionings[parameters.diskProvisioning ?? ''];
  if (provisioning === undefined) {
    const supported = diskProvisionings.join(', ');
    return failed([ovfFaults.diskProvisioning(parameters.diskProvisioning ?? '', supported)], warnings);
  }
  const configuration = checkDeploymentOption(envelope, parameters.deploymentOption);
  const selection = configuration === undefined ? {} : { configuration };
  const hardware = resolveHardware(envelope, system, selection);
  const family = hardware.hardwareVersion;
  if (family !== undefined && family > (request.maximumHardwareVersion ?? 21)) {
    return failed([ovfFaults.hardwareFamily(`vmx-${family}`)], warnings);
  }
  if (family === undefined && hardware.systemTypes.length > 0) {
    warnings.push(ovfFaults.hardwareFamily(hardware.systemTypes.join(' ')));
  }
  for (const { detail } of [...envelope.warnings, ...hardware.warnings]) warnings.push(ovfFaults.remark(detail));
  const overrides: PropertyOverride[] = (parameters.propertyMapping ?? []).map(({ key, value }) => ({ key, value }));
  const properties = resolveProperties(envelope, overrides, { ...selection, allowMissing: true });
  const networkOf = networkMapping(request, envelope, warnings);
  const devices = deviceChanges({ machine: name, envelope, hardware, properties, provisioning, networkOf });
  warnings.push(...devices.warnings);
  if (devices.errors.length > 0) return failed(devices.errors, warnings);
  const nvram = nvramFile(envelope, hardware, name);
  return data('OvfCreateImportSpecResult', {
    importSpec: data('VirtualMachineImportSpec', {
      configSpec: machineSpec({ name, envelope, system, hardware, devices, properties, parameters, nvram, warnings }),
    }),
    fileItem: [...devices.fileItems, ...(nvram === undefined ? [] : [nvram])],
    warning: localizedFaults(warnings),
  });
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
  const nothing = [products, infos, eula, hardware.transports].every(({ length }) => length === 0);
  if (nothing && install === undefined && !ipAllocationPolicy) return undefined;
  return data('VmConfigSpec', {
    product: products.map((info) => data('VAppProductSpec', { operation: 'add', info })),
    property: infos.map((info) => data('VAppPropertySpec', { operation: 'add', info })),
    eula,
    ovfEnvironmentTransport: hardware.transports,
    installBootRequired: install !== undefined,
    installBootStopDelay: install?.initialBootStopDelay ?? 0,
    ...(ipAllocationPolicy
      ? { ipAssignment: data('VAppIPAssignmentInfo', { ipAllocationPolicy, ...(ipProtocol ? { ipProtocol } : {}) }) }
      : {}),
  });
}

/** Undefined for the descriptor's default; throws InvalidArgument for an option that does not exist. */
function checkDeploymentOption(envelope: Envelope, asked: string): string | undefined {
  if (asked === '') return undefined;
  const options = envelope.deploymentOptionSection?.configurations ?? [];
  if (options.some(({ id }) => id === asked)) return asked;
  throw faults.invalidArgument('cisp.deploymentOption', `The package has no deployment option '${asked}'.`);
}

function networkMapping(
  { networks, parameters }: ImportSpecRequest,
  envelope: Envelope,
  warnings: VimFault[],
): (name: string | undefined) => NamedNetwork | undefined {
  const mapped = new Map<string, NamedNetwork>();
  for (const { name, network } of parameters.networkMapping ?? []) {
    const target = networks.find(({ ref }) => ref.value === network.value);
    if (target === undefined) {
      throw faults.invalidArgument('cisp.networkMapping', `The network ${network.value} for '${name}' is not here.`);
    }
    mapped.set(name, target);
    if (!envelope.networkSection?.networks.some((known) => known.name === name)) {
      warnings.push(ovfFaults.remark(`The package has no network '${name}' to be mapped.`));
    }
  }
  return (name) => {
    const asked = name === undefined ? undefined : (mapped.get(name) ?? networks.find((one) => one.name === name));
    if (asked !== undefined) return asked;
    const [first] = networks;
    if (first !== undefined && name !== undefined) {
      mapped.set(name, first);
      warnings.push(ovfFaults.remark(`The network '${name}' was not mapped and becomes '${first.name}'.`));
    }
    return first;
  };
}

/** The NVRAM that comes with the package: `vmw:ExtraConfig` `nvram` = `ovf:/file/<id>`. */
function nvramFile(envelope: Envelope, hardware: HardwareDescription, name: string): OvfFileItem | undefined {
  const id = /^ovf:\/file\/(.+)$/.exec(hardware.extraConfig[nvramKey] ?? '')?.[1];
  const file = envelope.files.find((candidate) => candidate.id === id);
  return file === undefined ? undefined : fileItem(nvramDeviceId(name), file, 0, true);
}

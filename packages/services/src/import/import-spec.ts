import {
  type Envelope,
  isEncrypted,
  type ResolvedProperty,
  resolveProperties,
  type VirtualSystem,
  validateDescriptor,
  virtualSystems,
  withInstances,
} from '@hypostyle/ovf';
import {
  data,
  type ImportSpec,
  isData,
  type OvfCreateImportSpecParams,
  type OvfCreateImportSpecResult,
  type VimFault,
  type VirtualAppImportSpec,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { type ContentImport, contentImport, systemImport } from './content-import.ts';
import type { NamedNetwork, Provisioning } from './device-changes.ts';
import { importOptions } from './import-options.ts';
import type { PackageContext } from './machine-import.ts';
import { localizedFaults, ovfFault, ovfFaults, validationFaults } from './ovf-faults.ts';
import { placementRemarks } from './placement.ts';
import { propertyOverrides } from './property-overrides.ts';

export interface ImportSpecRequest {
  /** The OVF descriptor's text. */
  readonly descriptor: string;
  readonly parameters: OvfCreateImportSpecParams;
  /** Networks that a network card may be put on; the first one is where those go that nobody mapped. */
  readonly networks: readonly NamedNetwork[];
  /** Newest virtual hardware that can be built, 21 by default. */
  readonly maximumHardwareVersion?: number;
  /** A collection becomes a vApp; without it a package is of one machine. */
  readonly vApps?: boolean;
  /** Why placement groups become no rules; undefined where they do. */
  readonly noRules?: string | undefined;
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
 * OvfManager.CreateImportSpec: the specification of a machine or vApp and the files that go with it, or `error`. What
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

/** The same result, with the files of its machines on a datastore. */
export function importSpecOn(datastore: string, result: OvfCreateImportSpecResult): OvfCreateImportSpecResult {
  const { importSpec } = result;
  return importSpec === undefined ? result : { ...result, importSpec: specOn(datastore, importSpec) };
}

function specOn(datastore: string, spec: ImportSpec): ImportSpec {
  if (isData('VirtualAppImportSpec', spec)) {
    const placed: VirtualAppImportSpec = {
      ...spec,
      child: (spec.child ?? []).map((child) => specOn(datastore, child)),
    };
    return placed;
  }
  if (!isData('VirtualMachineImportSpec', spec)) return spec;
  const files = data('VirtualMachineFileInfo', { vmPathName: `[${datastore}]` });
  const placed: VirtualMachineImportSpec = { ...spec, configSpec: { ...spec.configSpec, files } };
  return placed;
}

function failed(errors: readonly VimFault[], warnings: readonly VimFault[]): OvfCreateImportSpecResult {
  return data('OvfCreateImportSpecResult', { error: localizedFaults(errors), warning: localizedFaults(warnings) });
}

function specResult(packed: Envelope, request: ImportSpecRequest, warnings: VimFault[]): OvfCreateImportSpecResult {
  const { parameters } = request;
  const sealed = packed.files.filter((file) => isEncrypted(packed, file)).map(({ href }) => href);
  if (sealed.length > 0) return failed([ovfFaults.encrypted(packed.encryption?.line ?? 0, sealed)], warnings);
  const provisioning = provisionings[parameters.diskProvisioning ?? ''];
  if (provisioning === undefined) {
    const supported = diskProvisionings.join(', ');
    return failed([ovfFaults.diskProvisioning(parameters.diskProvisioning ?? '', supported)], warnings);
  }
  const configuration = checkDeploymentOption(packed, parameters.deploymentOption);
  const options = importOptions(parameters.importOption);
  const envelope = withInstances(packed, {
    ...(configuration === undefined ? {} : { configuration }),
    counts: options.counts,
    language: parameters.locale,
  });
  const overrides = propertyOverrides(envelope, parameters.propertyMapping ?? []);
  const selection = configuration === undefined ? {} : { configuration };
  for (const { detail } of envelope.warnings) warnings.push(ovfFaults.remark(detail));
  const errors: VimFault[] = [];
  const context: PackageContext = {
    envelope,
    parameters,
    properties: resolveProperties(envelope, overrides, { ...selection, allowMissing: true }),
    provisioning,
    networkOf: networkMapping(request, envelope, warnings),
    configuration,
    maximumHardwareVersion: request.maximumHardwareVersion ?? 21,
    warnings,
    errors,
  };
  warnings.push(...placementRemarks(envelope, request.noRules));
  const { spec, fileItems } =
    request.vApps && options.system === undefined ? contentImport(context) : singleImport(context, options.system);
  if (spec === undefined || errors.length > 0) return failed(errors, warnings);
  return data('OvfCreateImportSpecResult', {
    importSpec: spec,
    fileItem: fileItems,
    warning: localizedFaults(warnings),
  });
}

/** Where there are no vApps: the one machine of the package, wherever it is in it, or the one that was asked for. */
function singleImport(context: PackageContext, asked: string | undefined): ContentImport {
  const { content } = context.envelope;
  const all = virtualSystems(context.envelope);
  const systems = asked === undefined ? all : all.filter(({ id }) => id === asked);
  const [system] = systems;
  if (asked !== undefined && system === undefined)
    throw faults.invalidArgument('cisp.importOption', `The package has no machine '${asked}'.`);
  if (system === undefined || systems.length > 1) {
    const message = `A package of ${systems.length} virtual systems is a vApp, which a single host has not: import it by a center.`;
    context.errors.push(ovfFaults.unsupportedElement(content.line ?? 0, content.kind, message));
    return { spec: undefined, fileItems: [] };
  }
  const own = asked === undefined ? context : { ...context, properties: propertiesFor(context, system) };
  return systemImport(own, system, context.parameters.entityName);
}

/** Properties of a machine that is imported alone: its own, and those of the collections around it. */
function propertiesFor({ envelope, properties }: PackageContext, system: VirtualSystem): readonly ResolvedProperty[] {
  const others = new Set(virtualSystems(envelope).map(({ id }) => id));
  return properties.filter(({ entityId }) => entityId === system.id || !others.has(entityId));
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

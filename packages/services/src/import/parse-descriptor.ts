import {
  type Content,
  type DiskDescription,
  type Envelope,
  resolveProperties,
  type VirtualSystem,
  validateDescriptor,
  virtualSystems,
} from '@hypostyle/ovf';
import { data, type OvfParseDescriptorParams, type OvfParseDescriptorResult, type VimFault } from '@hypostyle/vim';
import { localizedFaults, ovfFault, ovfFaults, validationFaults } from './ovf-faults.ts';
import { type Localizer, localizerOf, vAppProducts, vAppProperties } from './vapp-properties.ts';

/** OvfManager.ParseDescriptor: what a wizard shows before it asks for an import specification. Faults are in the result. */
export async function parseOvfDescriptor(
  descriptor: string,
  parameters: OvfParseDescriptorParams,
): Promise<OvfParseDescriptorResult> {
  const report = await validateDescriptor(descriptor, { mode: 'lax' });
  const { envelope, valid } = report;
  if (envelope === undefined || !valid) return refused(validationFaults(report));
  try {
    return parsed(envelope, parameters);
  } catch (error) {
    return refused([ovfFault(error, envelope)]);
  }
}

function refused(errors: readonly VimFault[]): OvfParseDescriptorResult {
  return data('OvfParseDescriptorResult', {
    annotation: '',
    defaultEntityName: '',
    virtualApp: false,
    defaultDeploymentOption: '',
    error: localizedFaults(errors),
  });
}

function parsed(envelope: Envelope, { locale, deploymentOption }: OvfParseDescriptorParams): OvfParseDescriptorResult {
  const { content } = envelope;
  const inLanguage = localizerOf(envelope, locale);
  const options = envelope.deploymentOptionSection?.configurations ?? [];
  const chosen = options.find(({ id }) => id === deploymentOption);
  const properties = resolveProperties(envelope, [], {
    allowMissing: true,
    ...(chosen === undefined ? {} : { configuration: chosen.id }),
  });
  const warnings: VimFault[] = envelope.warnings.map(({ detail }) => ovfFaults.remark(detail));
  const [product] = vAppProducts(content.products, inLanguage);
  const disks = envelope.diskSection?.disks ?? [];
  return data('OvfParseDescriptorResult', {
    eula: content.eulas.map(({ license }) => inLanguage(license)),
    network: (envelope.networkSection?.networks ?? []).map(({ name, description }) =>
      data('OvfNetworkInfo', { name, description: description === undefined ? '' : inLanguage(description) }),
    ),
    property: vAppProperties(properties, new Set(), inLanguage),
    ...(product === undefined ? {} : { productInfo: product }),
    annotation: content.annotations.map(({ annotation }) => inLanguage(annotation)).join('\n'),
    approximateDownloadSize: envelope.files.reduce((sum, { size }) => sum + (size ?? 0), 0),
    approximateFlatDeploymentSize: disks.reduce((sum, disk) => sum + capacityOf(disk), 0),
    approximateSparseDeploymentSize: disks.reduce((sum, disk) => sum + (disk.populatedSize ?? capacityOf(disk)), 0),
    defaultEntityName: nameOf(content, inLanguage),
    virtualApp: content.kind === 'VirtualSystemCollection',
    deploymentOption: options.map(({ id, label, description }) =>
      data('OvfDeploymentOption', { key: id, label: inLanguage(label), description: inLanguage(description) }),
    ),
    defaultDeploymentOption: (options.find(({ isDefault }) => isDefault) ?? options[0])?.id ?? '',
    entityName: virtualSystems(envelope).map((system) =>
      data('KeyValue', { key: system.id, value: nameOf(system, inLanguage) }),
    ),
    warning: localizedFaults(warnings),
  });
}

function nameOf(content: Content | VirtualSystem, inLanguage: Localizer): string {
  return content.name === undefined ? content.id : inLanguage(content.name);
}

function capacityOf({ capacity }: DiskDescription): number {
  return 'bytes' in capacity ? capacity.bytes : 0;
}

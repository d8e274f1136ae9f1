import { data, type OvfValidateHostParams, type OvfValidateHostResult } from '@hypostyle/vim';
import type { NamedNetwork } from './device-changes.ts';
import { createImportSpec, diskProvisionings } from './import-spec.ts';
import { parseOvfDescriptor } from './parse-descriptor.ts';

/** OvfManager.ValidateHost: what a package needs, in bytes, and why it could not be imported. Faults are in the result. */
export async function validateOvfForHost(
  descriptor: string,
  { locale, deploymentOption }: OvfValidateHostParams,
  networks: readonly NamedNetwork[],
): Promise<OvfValidateHostResult> {
  const common = { locale, deploymentOption };
  const parsed = await parseOvfDescriptor(descriptor, data('OvfParseDescriptorParams', common));
  if (parsed.error !== undefined && parsed.error.length > 0)
    return data('OvfValidateHostResult', { error: parsed.error, warning: parsed.warning });
  const parameters = data('OvfCreateImportSpecParams', { ...common, entityName: '' });
  const { error, warning } = await createImportSpec({ descriptor, parameters, networks });
  return data('OvfValidateHostResult', {
    downloadSize: parsed.approximateDownloadSize,
    flatDeploymentSize: parsed.approximateFlatDeploymentSize,
    sparseDeploymentSize: parsed.approximateSparseDeploymentSize,
    error,
    warning,
    supportedDiskProvisioning: diskProvisionings,
  });
}

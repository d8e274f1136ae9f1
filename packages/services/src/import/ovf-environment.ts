import { type EnvironmentAdapter, type EnvironmentPlatform, formatEnvironment, writeIso } from '@hypostyle/ovf';
import type { VmConfigInfo } from '@hypostyle/vim';
import { vAppPropertyKey } from './vapp-value.ts';

export interface OvfEnvironmentRequest {
  /** Id of the virtual system, such as the machine's name. */
  readonly entityId: string;
  readonly vAppConfig: VmConfigInfo;
  readonly adapters?: readonly EnvironmentAdapter[];
  readonly platform?: EnvironmentPlatform;
}

/** What a machine with a vApp configuration is told at its start: the text of `ovf-env.xml` and `guestinfo.ovfEnv`. */
export function ovfEnvironment({ entityId, vAppConfig, adapters, platform }: OvfEnvironmentRequest): string {
  const properties = (vAppConfig.property ?? []).map((property) => ({
    key: vAppPropertyKey(property),
    value: property.value || (property.defaultValue ?? ''),
  }));
  return formatEnvironment({
    entityId,
    properties,
    ...(adapters === undefined ? {} : { adapters }),
    ...(platform === undefined ? {} : { platform }),
  });
}

/** The disc of the `iso` transport: a text of up to 1 MiB as `ovf-env.xml`. Throws OvfError `image-invalid`. */
export function environmentDisc(environment: string): Uint8Array {
  return writeIso([{ name: 'ovf-env.xml', content: Buffer.from(environment) }]);
}

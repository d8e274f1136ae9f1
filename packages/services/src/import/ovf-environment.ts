import { type EnvironmentAdapter, type EnvironmentPlatform, formatEnvironment } from '@hypostyle/ovf';
import type { VmConfigInfo } from '@hypostyle/vim';

export interface OvfEnvironmentRequest {
  /** Id of the virtual system, such as the machine's name. */
  readonly entityId: string;
  readonly vAppConfig: VmConfigInfo;
  readonly adapters?: readonly EnvironmentAdapter[];
  readonly platform?: EnvironmentPlatform;
}

/** What a machine with a vApp configuration is told at its start: the text of `ovf-env.xml` and `guestinfo.ovfEnv`. */
export function ovfEnvironment({ entityId, vAppConfig, adapters, platform }: OvfEnvironmentRequest): string {
  const properties = (vAppConfig.property ?? []).map(({ classId, id, instanceId, value, defaultValue }) => ({
    key: [classId, id, instanceId].filter((part) => part !== undefined && part !== '').join('.'),
    value: value || (defaultValue ?? ''),
  }));
  return formatEnvironment({
    entityId,
    properties,
    ...(adapters === undefined ? {} : { adapters }),
    ...(platform === undefined ? {} : { platform }),
  });
}

import type { CreateDiskOptions } from '../../create/create-disk.ts';
import type { Descriptor } from '../../descriptor/descriptor.ts';
import { adapterTypes } from '../../descriptor/geometry.ts';

/** What a new disk takes over from the one that it is made of. */
export function inheritedFields(
  descriptor: Descriptor | undefined,
): Pick<CreateDiskOptions, 'adapterType' | 'hardwareVersion'> {
  const adapterType = adapterTypes.find((type) => type === descriptor?.ddb.get('adapterType'));
  const hardwareVersion = Number(descriptor?.ddb.get('virtualHWVersion'));
  return {
    ...(adapterType ? { adapterType } : {}),
    ...(Number.isInteger(hardwareVersion) && hardwareVersion > 0 ? { hardwareVersion } : {}),
  };
}

import { join } from 'node:path';
import { parseDatastorePath, splitPath } from '@hypostyle/services';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Datastores } from '../../datastore/datastores.ts';

/**
 * Images and port files named as a `.vmx` names them: bare beside it, else `/vmfs/volumes/<uuid>/…`. Readers of `.vmx`
 * files, libvirt's among them, know no `[datastore] path`.
 */
export function withImageNames(
  datastores: Pick<Datastores, 'named'>,
  { datastore, vmxPath }: { readonly datastore: Datastore; readonly vmxPath: string },
  configuration: MachineConfiguration,
): MachineConfiguration {
  const named = (fileName: string): string => {
    const parsed = parsedPath(fileName);
    const found = parsed && datastores.named(parsed.datastore);
    if (found === undefined || !parsed?.path) return fileName;
    const { folder, name } = splitPath(parsed.path);
    return found === datastore && folder === splitPath(vmxPath).folder ? name : join(found.url, parsed.path);
  };
  const renamed = <T extends { readonly fileName: string | undefined }>(device: T): T =>
    device.fileName === undefined ? device : { ...device, fileName: named(device.fileName) };
  return {
    ...configuration,
    cdroms: configuration.cdroms.map(renamed),
    floppies: configuration.floppies.map(renamed),
    serials: configuration.serials.map((serial) => (serial.kind === 'file' ? renamed(serial) : serial)),
  };
}

/** Undefined for what is no datastore path: such a name stays as the client gave it. */
function parsedPath(fileName: string): ReturnType<typeof parseDatastorePath> | undefined {
  try {
    return fileName.startsWith('[') ? parseDatastorePath(fileName) : undefined;
  } catch {
    return undefined;
  }
}

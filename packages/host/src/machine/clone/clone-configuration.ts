import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { splitPath } from '@hypostyle/services';
import type { VirtualMachineCloneSpec } from '@hypostyle/vim';
import { type AppliedSpec, applySpec } from '../../configuration/apply-spec.ts';
import type { DeviceEffect, SpecContext } from '../../configuration/device-draft.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';

/** Keys that say what a machine is doing, or who it is: a copy of it is not, and does not. */
const ofTheOriginal =
  /^(checkpoint\.|uuid\.|vc\.uuid$|hypostyle\.(machinetype|cpumodel|memoryof|memoryaddresses)$|sched\.swap\.|migrate\.|cleanshutdown$|extendedconfigfile$|nvram$|toolscripts\.)/;

/** Takes out of a `.vmx` what is of the original alone. */
export function withoutOriginal(vmx: VmxFile): VmxFile {
  return vmx.clone().deleteWhere((key) => ofTheOriginal.test(key));
}

export interface CloneNames {
  readonly name: string;
  /** Of the files, such as `web` of `web.vmx`. */
  readonly stem: string;
  /** Where the original is: what its `.vmx` names beside itself is found there. */
  readonly from: { readonly datastore: Datastore; readonly vmxPath: string };
}

/** The configuration of a copy: who it is, is new, and its disks have names of their own, in order. */
export function copiedConfiguration(
  before: MachineConfiguration,
  { name, stem, from }: CloneNames,
): MachineConfiguration {
  const folder = splitPath(from.vmxPath).folder;
  const outside = (fileName: string): string =>
    fileName === '' || fileName.startsWith('/') || fileName.startsWith('[')
      ? fileName
      : join(from.datastore.url, folder, fileName);
  const withImage = <T extends { readonly fileName: string | undefined }>(device: T): T =>
    device.fileName === undefined ? device : { ...device, fileName: outside(device.fileName) };
  return {
    ...before,
    name,
    uuid: randomUUID(),
    instanceUuid: randomUUID(),
    nvram: `${stem}.nvram`,
    // Changes are counted anew, when that is asked for.
    changeTracking: false,
    disks: before.disks.map((disk, index) => ({ ...disk, fileName: diskName(stem, index) })),
    cdroms: before.cdroms.map(withImage),
    floppies: before.floppies.map(withImage),
    // A port of the host leads to one guest.
    nics: before.nics.map((nic) => ({ ...nic, mac: nic.addressType === 'static' ? nic.mac : '', forwards: [] })),
  };
}

/** Applies what the spec says of the copy: its place's devices first, then its configuration. */
export function withSpec(
  copied: MachineConfiguration,
  { location, config, template }: VirtualMachineCloneSpec,
  context: SpecContext,
): AppliedSpec {
  const devices =
    location.deviceChange === undefined
      ? { configuration: copied, effects: [] as DeviceEffect[] }
      : applySpec(copied, { _typeName: 'VirtualMachineConfigSpec', deviceChange: location.deviceChange }, context);
  const { name: _name, files: _files, ...rest } = config ?? {};
  const all = applySpec(devices.configuration, { ...rest, _typeName: 'VirtualMachineConfigSpec' }, context);
  // A disk that the copy is not to have is not made, and that of the original stays.
  const effects = [...devices.effects, ...all.effects].filter(({ kind }) => kind !== 'destroy-disk');
  return { configuration: { ...all.configuration, template }, effects, connections: new Map() };
}

function diskName(stem: string, index: number): string {
  return index === 0 ? `${stem}.vmdk` : `${stem}_${index}.vmdk`;
}

/** The name of a machine's files: `web` of `web/web.vmx`. */
export function stemOf(vmxPath: string): string {
  return splitPath(vmxPath).name.replace(/\.vmx$/i, '');
}

import { fault, type VimFault } from '@hypostyle/vim';
import type { GuestOsNames } from './guest-os.ts';
import type { MachineConfiguration } from './machine-configuration.ts';

/** What the host has for a machine to use. */
export interface SpecContext {
  readonly guestOs: GuestOsNames;
  /** Most that a machine may have here. */
  readonly limits: { readonly cpus: number; readonly memoryMiB: number };
  /** Changes of disks can be told here. */
  readonly changedBlocks: boolean;
  /** Machines may have a TPM here. */
  readonly tpm: boolean;
  networkExists(name: string): boolean;
  /** Name of a network by its reference's value. */
  networkName(value: string): string | undefined;
}

/** What has to be done to a disk's files. */
export type DeviceEffect =
  | {
      readonly kind: 'create-disk';
      /** Key of the disk in the new configuration. */
      readonly key: number;
      readonly capacityBytes: number;
      readonly allocation: 'thin' | 'thick' | 'eager';
      /** Datastore path or relative name that the client asked for; empty: we choose. */
      readonly fileName: string;
      /** Reference value of the datastore that it is to be on, where the name says none. */
      readonly datastore?: string;
      /** A disk of that name makes room, unless a machine has it. */
      readonly replace?: boolean;
    }
  /** A new disk on top of another one, which stays as it is. */
  | { readonly kind: 'create-child'; readonly key: number; readonly parent: string; readonly fileName: string }
  /** The disk's files are there already: its name is checked and made relative. */
  | { readonly kind: 'attach-disk'; readonly key: number; readonly fileName: string }
  /** A disk that is there is what the client takes it for. */
  | { readonly kind: 'same-disk'; readonly key: number; readonly fileName: string; readonly index: number }
  /** Where the disk is smaller; refused where it is larger. */
  | {
      readonly kind: 'grow-disk';
      readonly key: number;
      readonly capacityBytes: number;
      /** Another size that the client said at the same time: that counts where `capacityBytes` is the present one. */
      readonly otherBytes?: number;
      readonly index: number;
    }
  /** The disk is to be written by several machines: refused where it is of a kind that cannot be. */
  | { readonly kind: 'share-disk'; readonly key: number; readonly index: number }
  | { readonly kind: 'destroy-disk'; readonly fileName: string };

/** The machine while the changes of one spec are applied, one after another. */
export interface DeviceDraft {
  configuration: MachineConfiguration;
  /** Keys that the client gave to new devices, by the key that they got. */
  readonly keys: Map<number, number>;
  readonly effects: DeviceEffect[];
  /** Devices by their new keys that are to be connected now, or not, whatever they are at a start. */
  readonly connections: Map<number, boolean>;
  readonly context: SpecContext;
}

/** Index of the change, for faults. */
export function badDevice(index: number, property: string, reason: string): VimFault {
  return fault(
    'InvalidDeviceSpec',
    { deviceIndex: index, property: `virtualDeviceSpec.${property}` },
    `Invalid configuration for device '${index}': ${property}: ${reason}.`,
  );
}

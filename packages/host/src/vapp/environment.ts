import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { checkConfigured, environmentDisc, ovfEnvironment, vAppTransports } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { privatePath, readBounded, writePrivate } from './vapp-file.ts';

/** What a machine is told at its start. */
export interface RunEnvironment {
  /** Absolute path of the disc image. */
  readonly disc: string | undefined;
  /** Content of `guestinfo.ovfEnv`: it is shown to clients, and the guest gets the file. */
  readonly guestInfo: { readonly text: string; readonly path: string } | undefined;
}

const maximumTextBytes = 1 << 20;
const discFile = 'ovf-env.iso';
const textFile = 'ovf-env.xml';
/** What a machine was told by at its start: private files of its folder. */
export const environmentFiles = [discFile, textFile] as const;

/** Throws what keeps a machine from being told all that it must know: UnconfiguredPropertyValue, InvalidVmConfig … */
export function checkEnvironment({ vApp, vAppProblem }: MachineRecord): void {
  if (vAppProblem !== undefined) {
    throw fault(
      'InvalidVmConfig',
      {},
      `${vAppProblem}. Give the machine its vApp configuration anew, or remove it (vAppConfigRemoved).`,
    );
  }
  for (const property of vApp?.property ?? []) checkConfigured(property);
}

/** Makes the environment of a machine that starts, in files that live until its next start. Throws as checkEnvironment. */
export async function makeEnvironment(machine: MachineRecord): Promise<RunEnvironment> {
  checkEnvironment(machine);
  const { datastore, vmxPath, vApp, configuration: c } = machine;
  const wanted = vApp?.ovfEnvironmentTransport ?? [];
  const discPath = privatePath(datastore, vmxPath, discFile);
  const textPath = privatePath(datastore, vmxPath, textFile);
  const text =
    vApp === undefined || wanted.length === 0
      ? undefined
      : ovfEnvironment({
          entityId: c.name,
          vAppConfig: vApp,
          platform: { kind: 'Hypostyle', vendor: 'Hypostyle', locale: 'en' },
          // Numbered as the adapters' unit numbers on the PCI bus are.
          adapters: c.nics.map((nic) => ({ mac: nic.mac, network: nic.networkName, unitNumber: 7 + nic.number })),
        });
  const disc = text !== undefined && wanted.includes(vAppTransports.iso) ? discPath : undefined;
  const guestInfo =
    text !== undefined && wanted.includes(vAppTransports.guestInfo) ? { text, path: textPath } : undefined;
  if (disc === undefined) await rm(discPath, { force: true });
  else await writePrivate(disc, environmentDisc(text ?? ''));
  if (guestInfo === undefined) await rm(textPath, { force: true });
  else await writePrivate(textPath, guestInfo.text);
  return { disc, guestInfo };
}

/**
 * The environment that a machine started with: one that goes on from its memory must find the hardware that it had, and
 * a new service what the guest was told.
 */
export async function findEnvironment(datastore: Datastore, vmxPath: string): Promise<RunEnvironment> {
  const discPath = privatePath(datastore, vmxPath, discFile);
  const disc = await open(discPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).then(
    async (handle) => {
      await handle.close();
      return discPath;
    },
    () => undefined,
  );
  const textPath = privatePath(datastore, vmxPath, textFile);
  const guestInfo = await readBounded(textPath, maximumTextBytes).then(
    (bytes) => ({ text: bytes.toString('utf8'), path: textPath }),
    () => undefined,
  );
  return { disc, guestInfo };
}

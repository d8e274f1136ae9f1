import { rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { MachineHardware } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { findProgram } from '../process/find-program.ts';
import type { Spawner } from '../process/spawner.ts';
import type { Device } from './device.ts';
import type { RunDirectory } from './run-directory.ts';

const program = 'swtpm';

/** Whether the program is there that plays a TPM for engines; looked for each time, since it may be installed any day. */
export async function hasTpmProgram(): Promise<boolean> {
  return (await findProgram(program)) !== undefined;
}

/**
 * Starts the process that is a machine's TPM, with its state in a file that is made when missing. It waits for the
 * engine, and ends when that lets go of it, whoever owns it. Rejects with `unsupported-hardware` where it is not there.
 */
export async function startTpm(spawner: Spawner, run: RunDirectory, statePath: string): Promise<void> {
  const path = await findProgram(program);
  if (path === undefined)
    throw qemuErrors.unsupported('The machine has a TPM, and this host has nothing for it: install the package swtpm.');
  for (const text of [statePath, run.tpm])
    if (text.includes(',')) throw qemuErrors.unsupported(`${text}: the path of a TPM has no comma.`);
  await spawner
    .run([
      ...[path, 'socket', '--tpm2', '--flags', 'not-need-init', '--terminate', '--daemon'],
      ...['--tpmstate', `backend-uri=file://${statePath},mode=0600`],
      ...['--ctrl', `type=unixio,path=${run.tpm},mode=0600`],
    ])
    .catch((error: unknown) => {
      throw qemuErrors.startFailed(`The TPM could not be started: ${messageOf(error)}`, error);
    });
}

/** Ends one that no engine came to. */
export async function endTpm(run: RunDirectory): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = createConnection(run.tpm);
    socket.on('error', () => resolve());
    socket.on('connect', () => socket.end());
    socket.on('close', () => resolve());
  });
  await rm(run.tpm, { force: true });
}

/** Throws `unsupported-hardware` for a BIOS. */
export function tpmDevice({ firmware }: Pick<MachineHardware, 'firmware'>): Device {
  if (firmware !== 'efi') throw qemuErrors.unsupported('A TPM is for machines with EFI firmware.');
  return { driver: 'tpm-crb', tpmdev: 'tpm' };
}

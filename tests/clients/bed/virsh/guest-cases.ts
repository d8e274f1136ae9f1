import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { guestMachine } from '../bed.ts';
import { expect, machine, on, type VirshCase } from './virsh-context.ts';

/** The shell of the guest that is to boot again. */
let rebooted: GuestConsole | undefined;

export const guestCases: readonly VirshCase[] = [
  {
    name: 'screenshot',
    before: on,
    words: ({ face }) => ['screenshot', machine, join(face.home, 'screen.png')],
    async check({ face }) {
      const picture = await readFile(join(face.home, 'screen.png'));
      expect(picture.subarray(1, 4).toString() === 'PNG' && picture.length > 100, 'a picture');
    },
  },
  {
    name: 'shutdown of a guest',
    before: ({ bed }) => bed.guestReady(),
    words: () => ['shutdown', guestMachine],
    async check({ bed, face }) {
      await bed.isSeen(guestMachine, 'poweredOff', face.endpoint);
      expect((await bed.engineOf(guestMachine)) === undefined, 'no engine');
    },
  },
  {
    name: 'reboot of a guest',
    before: ({ bed }) => bed.guestReady(),
    async words({ bed }) {
      rebooted?.close();
      rebooted = await bed.console();
      return ['reboot', guestMachine];
    },
    async check() {
      await rebooted?.ready();
      rebooted?.close();
    },
  },
];

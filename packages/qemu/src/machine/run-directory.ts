import { join } from 'node:path';
import { qemuErrors } from '../errors.ts';

/** Longest path of a unix socket, in bytes (sun_path, without the closing zero). */
const maxSocketPathBytes = 107;

/** Files of one start in a machine's run directory. `token` keeps them apart from those of an earlier start. */
export class RunDirectory {
  readonly path: string;
  readonly token: string;

  constructor(path: string, token: string) {
    this.path = path;
    this.token = token;
    if (Buffer.byteLength(this.serial(31)) > maxSocketPathBytes) {
      throw qemuErrors.startFailed(`Run directory ${path} is too long for sockets: use one of 80 bytes at most.`);
    }
  }

  /** The owner's monitor. */
  get monitor(): string {
    return this.#file('qmp');
  }

  /** A second monitor, for when the owner's is taken or hangs. */
  get rescueMonitor(): string {
    return this.#file('rescue');
  }

  get vnc(): string {
    return this.#file('vnc');
  }

  get agent(): string {
    return this.#file('agent');
  }

  /** A picture of the screen, while it is taken. */
  get screen(): string {
    return this.#file('screen');
  }

  get migration(): string {
    return this.#file('migrate');
  }

  /** Where the engine lets disks be read. */
  get exports(): string {
    return this.#file('nbd');
  }

  /** Written by the spawner process when a memory image is on disk. */
  get drained(): string {
    return this.#file('drained');
  }

  /** Written by the owner before a suspend, so that the next owner can finish it. */
  get suspending(): string {
    return this.#file('suspending');
  }

  /** Written by the owner before it takes a snapshot with memory, so that the next owner can finish it. */
  get saving(): string {
    return this.#file('saving');
  }

  /** There while the guest stands still for a layer of a disk that is being merged. */
  get pivoting(): string {
    return this.#file('pivoting');
  }

  /** Where the machine's TPM listens for the engine. */
  get tpm(): string {
    return this.#file('tpm');
  }

  /** Where the process is told that limited adapters' frames go through. */
  get shaper(): string {
    return this.#file('shaper');
  }

  /** What it was told last, for the next owner. */
  get shape(): string {
    return this.#file('shape');
  }

  /** Where frames of a limited adapter leave the engine, and come back. */
  shapedFrames(slot: number, direction: 'rx' | 'tx', end: 'out' | 'in'): string {
    return this.#file(`net${slot}${direction[0]}${end[0]}`);
  }

  /** Pipe between the engine and the process that keeps a lock for it. */
  lockPipe(name: string): string {
    return this.#file(name);
  }

  serial(index: number): string {
    return this.#file(`serial${index}`);
  }

  #file(name: string): string {
    return join(this.path, `${name}-${this.token}`);
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm, stat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between looks at a job, milliseconds. */
const lookInterval = 5;

export interface PlainMoverOptions {
  /** Folders that the disk goes between. */
  readonly folders: readonly [string, string];
  readonly accelerator: string;
  readonly memoryMiB: number;
  readonly serialPath: string;
}

/** QEMU alone, with a raw disk that is mirrored to another file while its guest runs, as its manual has it. */
export class PlainMover {
  readonly #options: PlainMoverOptions;
  readonly #child: ChildProcess;
  readonly #monitor: Socket;
  readonly #lines: AsyncIterator<string>;
  #moves = 0;

  private constructor(options: PlainMoverOptions, child: ChildProcess, monitor: Socket) {
    this.#options = options;
    this.#child = child;
    this.#monitor = monitor;
    // Its end is told by the lines' end.
    monitor.on('error', () => {});
    this.#lines = createInterface({ input: monitor })[Symbol.asyncIterator]();
  }

  /** Its disk is `disk.raw` in the first folder. */
  static async start(options: PlainMoverOptions): Promise<PlainMover> {
    const { folders, accelerator, memoryMiB, serialPath } = options;
    const socketPath = join(folders[0], 'qmp');
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-accel', accelerator, '-m', `${memoryMiB}`, '-display', 'none', '-nodefaults', '-vga', 'std'],
        ...['-blockdev', JSON.stringify(nodesOf(join(folders[0], 'disk.raw'), 0))],
        ...['-device', 'pvscsi', '-device', 'scsi-hd,drive=move0,bootindex=0'],
        ...['-chardev', `file,id=serial,path=${serialPath},append=on`, '-serial', 'chardev:serial'],
        ...['-qmp', `unix:${socketPath},server=on,wait=off`],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    for (;;) {
      const socket = createConnection(socketPath);
      const connected = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      if (connected) {
        const mover = new PlainMover(options, child, socket);
        await mover.#lines.next();
        await mover.#execute('qmp_capabilities');
        return mover;
      }
      if (child.exitCode !== null) throw new Error('QEMU ended');
      await sleep(lookInterval);
    }
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('QEMU did not start');
    return pid;
  }

  /** The disk goes to the other folder, and the former file goes. */
  async move(): Promise<void> {
    const { folders } = this.#options;
    const from = join(folders[this.#moves % 2] as string, 'disk.raw');
    this.#moves += 1;
    const to = join(folders[this.#moves % 2] as string, 'disk.raw');
    const file = await open(to, 'w');
    await file.truncate((await stat(from)).size);
    await file.close();
    const [source, target] = [`move${this.#moves - 1}`, `move${this.#moves}`];
    await this.#execute('blockdev-add', nodesOf(to, this.#moves));
    await this.#execute('blockdev-mirror', {
      'job-id': 'move',
      device: source,
      target,
      sync: 'full',
      'auto-dismiss': false,
    });
    await this.#until('ready');
    // QEMU 7.2 aborts (`bdrv_co_write_req_prepare`) where a guest writes in the moment of the change.
    await this.#execute('stop');
    await this.#execute('job-complete', { id: 'move' });
    await this.#until('concluded');
    await this.#execute('cont');
    await this.#execute('job-dismiss', { id: 'move' });
    await this.#execute('blockdev-del', { 'node-name': source });
    await rm(from);
  }

  async close(): Promise<void> {
    this.#monitor.destroy();
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }

  async #until(status: string): Promise<void> {
    for (;;) {
      const jobs = (await this.#execute('query-jobs')) as readonly {
        readonly status: string;
        readonly error?: string;
      }[];
      if (jobs[0]?.error !== undefined) throw new Error(jobs[0].error);
      if (jobs[0]?.status === status) return;
      await sleep(lookInterval);
    }
  }

  async #execute(execute: string, more: object = {}): Promise<unknown> {
    this.#monitor.write(`${JSON.stringify({ execute, arguments: more })}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('the monitor was closed');
      const answer = JSON.parse(value) as { return?: unknown; error?: { desc: string } };
      if (answer.error !== undefined) throw new Error(answer.error.desc);
      if ('return' in answer) return answer.return;
    }
  }
}

/** A raw file past the page cache, as the machines of the host have it. */
function nodesOf(path: string, number: number): object {
  const file = { driver: 'file', filename: path, discard: 'unmap', cache: { direct: true } };
  return { driver: 'raw', 'node-name': `move${number}`, discard: 'unmap', file };
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rename, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SerialFile } from './boot-sector.ts';

const run = promisify(execFile);

export interface PlainQemuOptions {
  readonly folder: string;
  readonly accelerator: string;
  readonly memoryMiB: number;
  /** A raw disk that stays as it is: what is written goes to an image of its own. */
  readonly base: string;
}

/** A machine by QEMU alone, as a person starts it by hand with the same devices. */
export class PlainQemu {
  readonly #options: PlainQemuOptions;
  readonly #serial: SerialFile;
  #process: ChildProcess | undefined;
  #monitor: Socket | undefined;
  #answers: AsyncIterator<string> | undefined;
  #overlays = 0;

  private constructor(options: PlainQemuOptions, serial: SerialFile) {
    this.#options = options;
    this.#serial = serial;
  }

  static async at(options: PlainQemuOptions): Promise<PlainQemu> {
    const plain = new PlainQemu(options, await SerialFile.at(join(options.folder, 'serial.log')));
    await plain.#newImage();
    return plain;
  }

  get #image(): string {
    return join(this.#options.folder, 'plain.qcow2');
  }

  get #socket(): string {
    return join(this.#options.folder, 'qmp');
  }

  async #newImage(): Promise<void> {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', this.#options.base, this.#image]);
  }

  /**
   * Milliseconds from the start of the process to the guest's first instructions; `bare`: with no device that was not
   * asked for, which the firmware would look for.
   */
  async powerOn({ bare = false } = {}): Promise<number> {
    const before = await this.#serial.bytes;
    const began = performance.now();
    const child = this.#start(bare ? ['-nodefaults', '-vga', 'std'] : []);
    await Promise.race([
      this.#serial.grows(before),
      once(child, 'exit').then(() => {
        throw new Error('QEMU ended');
      }),
    ]);
    return performance.now() - began;
  }

  #start(more: readonly string[]): ChildProcess {
    const { accelerator, memoryMiB, folder } = this.#options;
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-accel', accelerator, '-m', `${memoryMiB}`, '-display', 'none'],
        ...more,
        ...['-device', 'pvscsi', '-drive', `if=none,id=disk,format=qcow2,file=${this.#image}`],
        ...['-device', 'scsi-hd,drive=disk,bootindex=0', '-nic', 'user,model=vmxnet3'],
        ...['-device', 'virtio-balloon-pci', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
        ...['-chardev', `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`],
        ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
        // The file is added to: it is watched.
        ...['-chardev', `file,id=serial,path=${join(folder, 'serial.log')},append=on`, '-serial', 'chardev:serial'],
        ...['-qmp', `unix:${this.#socket},server=on,wait=off`],
      ],
      { stdio: 'ignore' },
    );
    this.#process = child;
    return child;
  }

  /** Milliseconds that a command of the monitor's own takes: `savevm name`, `snapshot_blkdev …`. */
  async monitor(line: string): Promise<number> {
    await this.#connect();
    const began = performance.now();
    const said = await this.#execute('human-monitor-command', { 'command-line': line });
    // What goes wrong is only said.
    if (said !== '' && said !== 'VM status: running\r\n') throw new Error(`${line}: ${said}`);
    return performance.now() - began;
  }

  /** Milliseconds that a snapshot of the disk takes: what is written from then on goes to another image. */
  async snapshotDisk(): Promise<number> {
    this.#overlays += 1;
    const image = join(this.#options.folder, `overlay-${this.#overlays}.qcow2`);
    return this.monitor(`snapshot_blkdev disk ${image} qcow2`);
  }

  /**
   * As `snapshotDisk`, by somebody who wants it back after a loss of power: what is about to be done is written down, the
   * image and the new configuration are synced before they are used, and that it is done is written down as well.
   */
  async snapshotDurably(): Promise<number> {
    const { folder } = this.#options;
    this.#overlays += 1;
    const image = join(folder, `overlay-${this.#overlays}.qcow2`);
    await this.#connect();
    const began = performance.now();
    await writeSynced(join(folder, 'note'), image);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', this.#image, image]);
    await Promise.all([synced(image), writeSynced(join(folder, 'configuration.new'), `disk = "${image}"`)]);
    await rename(join(folder, 'configuration.new'), join(folder, 'configuration'));
    await synced(folder);
    await this.monitor(`snapshot_blkdev -n disk ${image} qcow2`);
    await writeSynced(join(folder, 'note'), 'done');
    return performance.now() - began;
  }

  /** Begins again with an empty image. */
  async renew(): Promise<void> {
    for (let number = 1; number <= this.#overlays; number += 1)
      await rm(join(this.#options.folder, `overlay-${number}.qcow2`), { force: true });
    await rm(this.#image, { force: true });
    await this.#newImage();
  }

  /** Milliseconds from the start of the process until the guest runs with the memory that `savevm` kept. */
  async load(name: string): Promise<number> {
    const began = performance.now();
    this.#start(['-loadvm', name]);
    await this.#connect();
    for (;;) {
      const status = (await this.#execute('query-status')) as { readonly running?: boolean };
      if (status.running) return performance.now() - began;
      await sleep(2);
    }
  }

  /** Milliseconds until the machine is off and its disk is as it was: the process ended, the image made anew. */
  async revertDisk(): Promise<number> {
    const began = performance.now();
    await this.powerOff();
    await rm(join(this.#options.folder, `overlay-${this.#overlays}.qcow2`));
    await rm(this.#image);
    await this.#newImage();
    return performance.now() - began;
  }

  /** As `revertDisk`, by somebody who wants it so after a loss of power as well. */
  async revertDurably(): Promise<number> {
    const { folder } = this.#options;
    const fresh = `${this.#image}.new`;
    const began = performance.now();
    await writeSynced(join(folder, 'note'), this.#image);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', this.#options.base, fresh]);
    await Promise.all([synced(fresh), writeSynced(join(folder, 'configuration.new'), `disk = "${this.#image}"`)]);
    await synced(folder);
    await this.powerOff();
    await rename(fresh, this.#image);
    await rename(join(folder, 'configuration.new'), join(folder, 'configuration'));
    await synced(folder);
    await rm(join(folder, `overlay-${this.#overlays}.qcow2`));
    await writeSynced(join(folder, 'note'), 'done');
    return performance.now() - began;
  }

  async powerOff(): Promise<void> {
    const child = this.#process;
    this.#monitor?.destroy();
    this.#monitor = undefined;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  async close(): Promise<void> {
    await this.powerOff();
    this.#serial.close();
  }

  async #connect(): Promise<void> {
    if (this.#monitor !== undefined) return;
    for (;;) {
      const socket = createConnection(this.#socket);
      const connected = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      if (connected) {
        this.#monitor = socket;
        break;
      }
      await sleep(5);
    }
    this.#answers = createInterface({ input: this.#monitor })[Symbol.asyncIterator]();
    await this.#answers.next();
    await this.#execute('qmp_capabilities');
  }

  async #execute(execute: string, more: Record<string, string> = {}): Promise<unknown> {
    this.#monitor?.write(`${JSON.stringify({ execute, arguments: more })}\n`);
    for (;;) {
      const { value, done } = (await this.#answers?.next()) ?? { done: true };
      if (done) throw new Error('the monitor was closed');
      const answer = JSON.parse(value as string) as { return?: unknown; error?: { desc: string } };
      if (answer.error !== undefined) throw new Error(answer.error.desc);
      if ('return' in answer) return answer.return;
    }
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w');
  await handle.writeFile(text);
  await handle.sync();
  await handle.close();
}

/** Makes a file, or the names in a folder, durable. */
async function synced(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync();
  await handle.close();
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TestMachineOptions {
  readonly vmdk: string;
  /** Arguments that attach the drive `disk`. */
  readonly disk: readonly string[];
  /** Model of the network card on the network `net`. */
  readonly card: string;
  /** Content of `ovf-env.xml` on a CD. */
  readonly environment?: string;
  readonly more?: readonly string[];
}

/** The appliance under plain QEMU, emulated, with a throw-away overlay on its disk. */
export class TestMachine {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #port: number;

  static async start(options: TestMachineOptions): Promise<TestMachine> {
    const folder = await mkdtemp(join(tmpdir(), 'appliance-'));
    const overlay = join(folder, 'overlay.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', options.vmdk, '-F', 'vmdk', overlay]);
    const port = await freePort();
    const disc: string[] = [];
    if (options.environment !== undefined) {
      await mkdir(join(folder, 'disc'));
      await writeFile(join(folder, 'disc', 'ovf-env.xml'), options.environment);
      await run('genisoimage', ['-quiet', '-r', '-V', 'OVFENV', '-o', join(folder, 'env.iso'), join(folder, 'disc')]);
      disc.push('-drive', `if=ide,media=cdrom,readonly=on,format=raw,file=${join(folder, 'env.iso')}`);
    }
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'std', '-accel', 'tcg', '-m', '256'],
        ...['-drive', `if=none,id=disk,format=qcow2,file=${overlay}`, ...options.disk, ...disc],
        ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:80`, '-device', `${options.card},netdev=net`],
        ...['-device', 'virtio-serial', '-chardev', `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`],
        ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
        ...['-chardev', `file,id=console,path=${join(folder, 'console')}`, '-serial', 'chardev:console'],
        ...['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
        ...(options.more ?? []),
      ],
      { stdio: 'ignore' },
    );
    await once(child, 'spawn');
    return new TestMachine(folder, child, port);
  }

  private constructor(folder: string, child: ChildProcess, port: number) {
    this.#folder = folder;
    this.#process = child;
    this.#port = port;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The page of the guest, once it answers with what is wanted. Rejects with the console after the deadline. */
  async page(wanted: RegExp, deadlineSeconds = 60): Promise<string> {
    const deadline = Date.now() + deadlineSeconds * 1000;
    let last = '';
    while (this.running && Date.now() < deadline) {
      last = await fetch(`http://127.0.0.1:${this.#port}/`, { signal: AbortSignal.timeout(3000) })
        .then((response) => response.text())
        .catch(() => last);
      if (wanted.test(last)) return last;
      await wait(100);
    }
    throw new Error(
      `no page with ${wanted} after ${deadlineSeconds} s; page: ${last}; console: ${await this.console()}`,
    );
  }

  async console(): Promise<string> {
    return await readFile(join(this.#folder, 'console'), 'utf8').catch(() => '');
  }

  /** Sends one command to the guest agent and answers its result, or undefined when it is one that has none. */
  async agent(
    command: string,
    options: { answers: boolean; arguments?: object } = { answers: true },
  ): Promise<unknown> {
    const socket = await connect(join(this.#folder, 'agent'));
    // 0xff makes the agent drop half a command that somebody left; it complains, and then answers.
    socket.write(Buffer.from([0xff]));
    socket.write(`${JSON.stringify({ execute: 'guest-sync', arguments: { id: 7 } })}\n`);
    let synchronized = false;
    try {
      for await (const line of createInterface({ input: socket })) {
        const answer = JSON.parse(line.replaceAll('\xff', '')) as { return?: unknown; error?: { desc: string } };
        if (synchronized) {
          if (answer.error !== undefined) throw new Error(answer.error.desc);
          return answer.return;
        }
        if (answer.return !== 7) continue;
        synchronized = true;
        socket.write(`${JSON.stringify({ execute: command, arguments: options.arguments ?? {} })}\n`);
        if (!options.answers) return undefined;
      }
      throw new Error('the agent hung up');
    } finally {
      socket.end();
    }
  }

  async monitor(command: string): Promise<void> {
    const socket = await connect(join(this.#folder, 'qmp'));
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    await lines.next();
    for (const execute of ['qmp_capabilities', command]) {
      socket.write(`${JSON.stringify({ execute })}\n`);
      await lines.next();
    }
    socket.destroy();
  }

  /** Resolves when the machine is off. */
  async off(deadlineSeconds = 20): Promise<void> {
    if (!this.running) return;
    const deadline = AbortSignal.timeout(deadlineSeconds * 1000);
    await once(this.#process, 'exit', { signal: deadline }).catch(async () => {
      throw new Error(`still on after ${deadlineSeconds} s; console: ${await this.console()}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function connect(path: string): Promise<Socket> {
  const socket = createConnection(path);
  socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer on ${path}`)));
  await once(socket, 'connect');
  return socket;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

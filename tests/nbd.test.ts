import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, createClient, VimFault } from '@hypostyle/vim';
import { openNbdDisk } from '@hypostyle/vmdk';
import { Daemon, hypo } from './harness/daemon.ts';
import { endEngines, serialSocketOf } from './harness/engines.ts';
import { createGuest, eventually, type Machine, powerOn } from './harness/guest-machine.ts';

// Disks of machines over NBD as a center gives them: off, running, as a snapshot has them, and after a kill.
const run = promisify(execFile);
/** The last sector of the guest's disk is in no file of it. */
const markAt = 131_071;

let home: string;
let folder: string;
let daemon: Daemon;
let host: Client;
let machine: Machine;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-nbd-'));
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-nbd-'));
  await start();
  machine = await createGuest(host, daemon, { name: 'web', controller: 'scsi' });
  await copyFile(join(home, 'tls', 'ca.crt'), join(folder, 'ca-cert.pem'));
});

after(async () => {
  await host?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await Promise.all([home, folder].map((path) => rm(path, { recursive: true, force: true })));
});

async function start(): Promise<void> {
  daemon = await Daemon.start({ home, mode: 'center' });
  host = createClient({ url: `${daemon.hostUrl}/sdk`, tls: { insecure: true } });
  await host.signIn('root', daemon.password);
}

/** What `hypo disk serve` says of a disk of the machine, once the center knows the machine. */
async function address(...args: string[]): Promise<{ uri: string; thumbprint: string }> {
  const command = [hypo, 'disk', 'serve', '--vm', 'web', '--json', '--home', home, ...args];
  const { stdout } = await run(process.execPath, command);
  return JSON.parse(stdout) as { uri: string; thumbprint: string };
}

/** Runs `hypo disk serve` with a socket as long as the work goes on, which gets the disk of it. */
async function passedOn<T>(args: readonly string[], work: (socketPath: string) => Promise<T>): Promise<T> {
  const socketPath = join(folder, `s${Math.floor(performance.now())}`);
  const command = [hypo, 'disk', 'serve', '--vm', 'web', '--socket', socketPath, '--json', '--home', home, ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  try {
    await Promise.race([once(child.stdout, 'data'), exited]);
    return await work(socketPath);
  } finally {
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  }
}

async function markOf(socketPath: string): Promise<string> {
  const disk = await openNbdDisk({ socketPath }, '');
  try {
    return (await disk.read(markAt * 512, 3)).toString();
  } finally {
    await disk.close();
  }
}

async function guest(): Promise<GuestConsole> {
  const [engine] = await daemon.engines();
  assert.ok(engine);
  return GuestConsole.connect(serialSocketOf(engine));
}

const write = (mark: string) =>
  `printf ${mark} | dd of=/dev/sda bs=512 seek=${markAt} conv=notrunc 2>/dev/null && sync && echo ok`;

test('a disk of a machine that is off is read by qemu-img and nbdcopy, and then the machine starts', async () => {
  const { uri, thumbprint } = await address();
  assert.match(uri, /^nbds:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/disk-0\.vmdk$/);
  assert.match(thumbprint, /^([0-9A-F]{2}:){19}[0-9A-F]{2}$/);
  const { port, pathname } = new URL(uri.replace('nbds:', 'https:'));
  const flat = await readFile(join(daemon.datastore, 'images-web', 'boot-flat.vmdk'));
  await run('nbdcopy', [`${uri}?tls-certificates=${folder}`, join(folder, 'copy')]);
  assert.ok(flat.equals(await readFile(join(folder, 'copy'))));
  await run('qemu-img', [
    ...['compare', '--object', `tls-creds-x509,id=t,dir=${folder},endpoint=client`, '--image-opts'],
    `driver=nbd,server.type=inet,server.host=127.0.0.1,server.port=${port},export=${pathname.slice(1)},tls-creds=t`,
    `driver=raw,file.driver=file,file.filename=${join(folder, 'copy')}`,
  ]);
  await assert.rejects(run('nbdinfo', [`${uri.replace('disk-0', 'disk-1')}?tls-certificates=${folder}`]));
  await assert.rejects(run('nbdinfo', [uri.replace('nbds:', 'nbd:')]), /not supported/);
  // Its lease is over soon after its clients have left.
  await eventually(
    async () => {
      try {
        await powerOn(host, machine);
        return true;
      } catch (error) {
        if (error instanceof VimFault && error.type === 'TaskInProgress') return false;
        throw error;
      }
    },
    'the machine to be free again',
    60_000,
  );
});

test('a disk is read while its machine runs, and as a snapshot has it', async () => {
  const console = await guest();
  await console.ready();
  assert.equal(await console.run(write('one')), 'ok');
  await passedOn([], async (live) => {
    assert.equal(await markOf(live), 'one');
    const task = await host.call(machine, 'CreateSnapshot_Task', { name: 'backup', memory: false, quiesce: false });
    await host.waitForTask(task);
    assert.equal(await console.run(write('two')), 'ok');
    assert.equal(await markOf(live), 'two');
    await passedOn(['--snapshot', 'backup'], async (then) => {
      assert.equal(await markOf(then), 'one');
      await run('nbdcopy', [`nbd+unix:///?socket=${then}`, join(folder, 'copy')]);
      assert.equal((await readFile(join(folder, 'copy'))).toString('latin1', markAt * 512, markAt * 512 + 3), 'one');
    });
  });
  await assert.rejects(address('--writable'), /own to write/);
  await assert.rejects(address('--snapshot', 'none'), /no snapshot none/);
  console.close();
});

test('a daemon that was killed exports again, and what it left stands in nobody’s way', async () => {
  await passedOn([], async (live) => {
    assert.equal(await markOf(live), 'two');
    await daemon.kill();
  });
  await host[Symbol.asyncDispose]();
  await start();
  await passedOn([], async (live) => assert.equal(await markOf(live), 'two'));
});

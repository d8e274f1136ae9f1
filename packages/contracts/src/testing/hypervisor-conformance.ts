import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Hypervisor, HypervisorCapabilities, StartRequest } from '../hypervisor.ts';
import { changedBlocksConformance } from './changed-blocks-conformance.ts';
import type { ConformanceGuest, GuestOptions } from './conformance-guest.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { diskConformance } from './disk-conformance.ts';
import { diskMovesConformance } from './disk-moves-conformance.ts';
import { guestWorkConformance } from './guest-work-conformance.ts';
import { hotPlugConformance } from './hot-plug-conformance.ts';
import { importHypervisorDriver } from './hypervisor-driver.ts';
import type { OwnerWork } from './hypervisor-owner-work.ts';
import { machineSnapshotConformance } from './machine-snapshot-conformance.ts';
import { adopted, endOrSilence, record, rejects, untilAgent } from './observed-machine.ts';
import { sharedDiskConformance } from './shared-disk-conformance.ts';

export interface HypervisorConformanceOptions {
  /** Names the driver in the report. */
  readonly name: string;
  /** A module that exports `open(folder: string): Hypervisor`. */
  readonly driver: URL;
  readonly guest: ConformanceGuest;
}

/** Registers the tests that every `Hypervisor` passes, with real guests. */
export function hypervisorConformance({ name, driver, guest }: HypervisorConformanceOptions): void {
  describe(`${name}: Hypervisor`, () => {
    let root: string;
    let hypervisor: Hypervisor;
    let capabilities: HypervisorCapabilities;
    const requests: StartRequest[] = [];
    const open = async () => (await importHypervisorDriver(driver)).open(join(root, 'cache'));

    before(async () => {
      root = await mkdtemp(join(tmpdir(), 'hv-'));
      hypervisor = await open();
      ({ capabilities } = await hypervisor.probe());
    });

    after(async () => {
      // Whatever a failed test left running is found again and ended.
      for (const request of requests) await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
      await hypervisor.detach();
      await rm(root, { recursive: true, force: true });
    });

    const request = async (options: Partial<GuestOptions> = {}): Promise<StartRequest> => {
      const uuid = randomUUID();
      const folder = join(root, `m${requests.length}`);
      await mkdir(folder);
      const hardware = await guest.prepare({ uuid, folder, images: hypervisor.images, ...options });
      const paths = { lockPath: join(folder, 'vm.lck'), logPath: join(folder, 'engine.log') };
      const made = { uuid, hardware, runDirectory: join(root, `r${requests.length}`), ...paths };
      requests.push(made);
      return made;
    };

    const world: ConformanceWorld = {
      guest,
      get hypervisor() {
        return hypervisor;
      },
      get capabilities() {
        return capabilities;
      },
      get root() {
        return root;
      },
      request,
      reopen: async () => {
        await hypervisor.detach();
        hypervisor = await open();
      },
      ownedByAnother,
    };

    it('says what it is', async () => {
      const info = await hypervisor.probe();
      assert.match(info.version, /^\d+\.\d+/);
      if (info.accelerator === 'tcg') assert.match(info.acceleratorReason ?? '', /\w+ .*\.$/);
      assert.ok(info.capabilities.maxCpus >= 1 && info.capabilities.maxMemoryMiB > 0);
      assert.deepEqual(await (await open()).probe(), info);
    });

    it('starts, measures, resets and ends a machine that is its own', async () => {
      const asked = await request();
      const told = join(root, 'told, once');
      await writeFile(told, 'as it was deployed');
      const guestData = capabilities.guestData ? [{ name: 'guestinfo.test', path: told }] : [];
      const machine = await hypervisor.start({ ...asked, hardware: { ...asked.hardware, guestData } });
      const events = record(machine);
      assert.equal(machine.state, 'running');
      const session = await guest.open(machine);
      assert.equal(await session.ready(), asked.uuid);
      const found = await session.guestData('guestinfo.test');
      assert.equal(found.trim(), capabilities.guestData ? 'as it was deployed' : '');
      const other = await open();
      await rejects(other.start(asked), 'locked');
      await other.detach();
      const usage = await machine.usage();
      assert.ok(usage.cpuMilliseconds > 0 && usage.residentBytes > 1 << 20);
      assert.deepEqual(usage.disks.map(({ id }) => id).sort(), asked.hardware.disks.map(({ id }) => id).sort());
      assert.ok(usage.disks.some(({ readBytes, reads }) => readBytes > 1 << 20 && reads > 0));
      assert.equal(await machine.guestFacts(), undefined);
      await rejects(machine.requestReboot(), 'guest-agent-absent');
      await rejects(machine.runInGuest({ path: '/bin/sh', arguments: [] }), 'guest-agent-absent');
      await machine.reset();
      assert.equal(await session.ready(), asked.uuid);
      session.reboot();
      await events.wait('guest-reset');
      assert.equal(await session.ready(), asked.uuid);
      await sleep(500);
      await machine.requestShutdown();
      assert.equal((await events.wait('ended')).reason, 'guest-shutdown');
      assert.equal(machine.state, 'stopped');
      await rejects(machine.reset(), 'not-running');
      await machine.powerOff();
      assert.equal(await hypervisor.adopt(asked), undefined);
      session.close();
    });

    it('powers off at once, twice at the same time, and frees the lock', async () => {
      const asked = await request();
      for (let round = 0; round < 3; round += 1) {
        const machine = await hypervisor.start(asked);
        const events = record(machine);
        await Promise.all([machine.powerOff(), machine.powerOff()]);
        await assert.rejects(access(`/proc/${machine.pid}/fd`));
        assert.equal((await events.wait('ended')).reason, 'requested');
        assert.equal(events.all.filter(({ kind }) => kind === 'ended').length, 1);
      }
    });

    it('refuses hardware that it cannot build, and leaves nothing', async () => {
      const asked = await request();
      const disks = asked.hardware.disks.map((disk) => ({ ...disk, controllerId: 'nowhere' }));
      await rejects(hypervisor.start({ ...asked, hardware: { ...asked.hardware, disks } }), 'unsupported-hardware');
      const [disk] = asked.hardware.disks;
      const vmdk = { ...disk!, layers: [{ format: 'vmdk' as const, path: join(root, 'no.vmdk') }] };
      await rejects(
        hypervisor.start({ ...asked, hardware: { ...asked.hardware, disks: [vmdk] } }),
        'unsupported-hardware',
      );
      const gone = { ...disk!, layers: [{ format: 'raw' as const, path: join(root, 'no.img') }] };
      await rejects(hypervisor.start({ ...asked, hardware: { ...asked.hardware, disks: [gone] } }), 'start-failed');
      assert.equal(await hypervisor.adopt(asked), undefined);
    });

    it('lets a machine run on when its owner is killed, and finds it again', async () => {
      const asked = await request();
      const pid = await ownedByAnother(asked);
      const machine = await adopted(hypervisor, asked);
      assert.equal(machine.pid, pid);
      const session = await guest.open(machine);
      assert.equal(await session.ready(), asked.uuid);
      const digest = await session.fillMemory();
      session.close();
      await hypervisor.detach();
      hypervisor = await open();
      const again = await adopted(hypervisor, asked);
      assert.equal(again.pid, pid);
      assert.deepEqual(again.platform, machine.platform);
      const second = await guest.open(again);
      assert.equal(await second.digestMemory(), digest);
      // A guest that ends while nobody looks is not there any more, and its lock is free.
      await hypervisor.detach();
      hypervisor = await open();
      second.shutDown();
      await sleep(1500);
      second.close();
      assert.equal(await hypervisor.adopt(asked), undefined);
      await (await hypervisor.start(asked)).powerOff();
    });

    it('tells a crash', async () => {
      const machine = await hypervisor.start(await request());
      const events = record(machine);
      process.kill(machine.pid, 'SIGKILL');
      const ended = await events.wait('ended');
      assert.equal(ended.reason, 'crashed');
      assert.ok(ended.detail);
      await rejects(machine.usage(), 'not-running');
    });

    it('suspends to a file and goes on from it', async (test) => {
      if (!capabilities.suspend)
        return test.skip('the driver does not suspend (capability suspend): it runs with one that does');
      const asked = await request();
      const machine = await hypervisor.start(asked);
      const events = record(machine);
      const session = await guest.open(machine);
      await session.ready();
      const digest = await session.fillMemory();
      await rejects(machine.suspend(join(root, 'no-folder', 'memory')), 'suspend-failed');
      assert.equal(machine.state, 'running');
      const uptime = await session.uptimeSeconds();
      const path = join(root, 'memory');
      await machine.suspend(path);
      session.close();
      assert.equal((await events.wait('ended')).reason, 'suspended');
      assert.ok((await stat(path)).size > 8 << 20);
      assert.equal(await hypervisor.adopt(asked), undefined);
      const resumed = await hypervisor.start({ ...asked, resumeFrom: path });
      assert.deepEqual(resumed.platform, machine.platform);
      const second = await guest.open(resumed);
      assert.equal(await second.digestMemory(), digest);
      assert.ok((await second.uptimeSeconds()) >= uptime);
      second.close();
      await resumed.powerOff();
      await writeFile(path, 'damaged');
      await rejects(hypervisor.start({ ...asked, resumeFrom: path }), 'start-failed');
    });

    it('finishes a suspend whose owner was killed', async (test) => {
      if (!capabilities.suspend)
        return test.skip('the driver does not suspend (capability suspend): it runs with one that does');
      const asked = await request();
      const machine = await hypervisor.start(asked);
      const session = await guest.open(machine);
      await session.ready();
      const digest = await session.fillMemory();
      session.close();
      await hypervisor.detach();
      hypervisor = await open();
      const path = join(root, 'memory-of-the-killed');
      await ownedByAnother(asked, { suspendPath: path });
      const found = await hypervisor.adopt(asked);
      const last = found ? await endOrSilence(found) : undefined;
      // Either it was suspended, or it runs on; never neither.
      const suspended = last !== undefined || found === undefined;
      if (suspended) assert.ok((await stat(path)).size > 8 << 20);
      const running = suspended ? await hypervisor.start({ ...asked, resumeFrom: path }) : found;
      const second = await guest.open(running);
      assert.equal(await second.digestMemory(), digest);
      second.close();
      await running.powerOff();
    });

    it('drops the writes of a disk that is to forget them', async () => {
      const asked = await request({ discardWrites: true });
      const machine = await hypervisor.start(asked);
      const session = await guest.open(machine);
      await session.ready();
      await session.writeDisk('forgotten');
      assert.equal(await session.readDisk(9), 'forgotten');
      await machine.powerOff();
      session.close();
      const hardware = {
        ...asked.hardware,
        disks: asked.hardware.disks.map((disk) => ({ ...disk, discardWrites: false })),
      };
      const again = await hypervisor.start({ ...asked, hardware });
      const second = await guest.open(again);
      await second.ready();
      assert.equal(await second.readDisk(9), '.........');
      await second.writeDisk('remember');
      await again.powerOff();
      second.close();
      const delta = asked.hardware.disks[1]!.layers[0]!;
      assert.ok((await hypervisor.images.inspect(delta)).allocatedBytes > 64 << 10);
    });

    it('speaks with a guest agent', async (test) => {
      if (!capabilities.guestAgent)
        return test.skip('the driver asks no guest agent (capability guestAgent): it runs with one that does');
      const asked = await request({ agent: true });
      const machine = await hypervisor.start(asked);
      const events = record(machine);
      const session = await guest.open(machine);
      await session.ready();
      assert.equal((await events.wait('agent')).connected, true);
      const facts = await machine.guestFacts();
      assert.match(facts?.agentVersion ?? '', /^\d/);
      assert.ok(facts?.hostName && facts.kernel);
      assert.ok(facts.interfaces.some(({ addresses }) => addresses.some(({ address }) => address === '127.0.0.1')));
      await guestWorkConformance(machine, session, capabilities);
      await machine.requestReboot();
      await events.wait('guest-reset');
      await session.ready();
      await untilAgent(machine);
      session.close();
      let running = machine;
      if (capabilities.suspend) {
        const path = join(root, 'agent-memory');
        await machine.suspend(path);
        running = await hypervisor.start({ ...asked, resumeFrom: path });
        await untilAgent(running);
        assert.ok(await running.guestFacts(), 'the agent answers after a resume');
      }
      const ending = record(running);
      await running.requestShutdown();
      assert.equal((await ending.wait('ended')).reason, 'guest-shutdown');
    });

    it('boots by EFI', async (test) => {
      if (!capabilities.efi)
        return test.skip(
          'there is no EFI firmware for the driver (capability efi): QEMU has it with node scripts/debian-packages.mjs run',
        );
      const asked = await request({ firmware: 'efi' });
      const machine = await hypervisor.start(asked);
      const session = await guest.open(machine);
      const up = session.ready();
      // Firmware that misses the disk once stays in its shell for ever: it gets a second look.
      const hangs = await Promise.race([up.then(() => false), sleep(90_000, true, { ref: false })]);
      if (hangs) await machine.reset();
      assert.equal(await up, asked.uuid);
      session.close();
      await machine.powerOff();
      assert.ok((await stat(asked.hardware.nvramPath)).size > 0);
    });

    diskConformance(world);
    machineSnapshotConformance(world);
    sharedDiskConformance(world);
    diskMovesConformance(world);

    hotPlugConformance(world);
    changedBlocksConformance(world);

    it('asks a guest to hold its file systems', async (test) => {
      if (!capabilities.diskSnapshots)
        return test.skip('the driver puts no layers on disks (capability diskSnapshots): it runs with one that does');
      const asked = await request();
      const machine = await hypervisor.start(asked);
      await rejects(machine.freezeGuest(), 'guest-agent-absent');
      await machine.powerOff();
    });

    it('makes deltas', async () => {
      const base = join(root, 'base.img');
      await writeFile(base, Buffer.alloc(1 << 20));
      const backing = { format: 'raw' as const, path: base, relativePath: 'base.img' };
      const path = join(root, 'delta');
      await hypervisor.images.createDelta({ path, virtualBytes: 1 << 20, backing });
      const { virtualBytes, allocatedBytes } = await hypervisor.images.inspect({ format: 'qcow2', path });
      assert.equal(virtualBytes, 1 << 20);
      assert.ok(allocatedBytes < 1 << 20);
      await rejects(hypervisor.images.createDelta({ path, virtualBytes: 1 << 20, backing }), 'image-failed');
      await rejects(hypervisor.images.inspect({ format: 'qcow2', path: base }), 'image-failed');
    });

    /** Starts or adopts in another process and kills that; in the middle of what is given, if anything. */
    async function ownedByAnother(asked: StartRequest, amidst: OwnerWork = {}): Promise<number> {
      const requestPath = join(root, `${asked.uuid}.json`);
      await writeFile(requestPath, JSON.stringify({ request: asked, ...amidst }));
      const script = fileURLToPath(new URL('./hypervisor-owner.ts', import.meta.url));
      const args = [script, driver.href, join(root, 'cache'), requestPath];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const lines = createInterface({ input: child.stdout });
      const wanted = Object.keys(amidst).length === 0 ? 1 : 2;
      const said: string[] = [];
      for await (const line of lines) if (said.push(line) === wanted) break;
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(said.length, wanted, 'the owner of the machine failed');
      return Number(said[0]);
    }
  });
}

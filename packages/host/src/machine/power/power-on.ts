import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HypervisorError, type RunningMachine } from '@hypostyle/contracts';
import {
  checkExtents,
  createDelta,
  type DiskChain,
  joinPath,
  nextDeltaName,
  readDiskChain,
  renewContentId,
  resolveInRoot,
  splitPath,
} from '@hypostyle/services';
import { fault, type RunningTask, type VimFault } from '@hypostyle/vim';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { Disk, MachineConfiguration, Nic } from '../../configuration/machine-configuration.ts';
import { isShared, unshareable, unshareableFault } from '../../configuration/shared-disk.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { checkDisksUnclaimed } from '../../disks/disk-locks.ts';
import { HostError } from '../../errors.ts';
import type { HostCore } from '../../host-core.ts';
import { reserveForStart } from '../../resources/admission.ts';
import { checkEnvironment, findEnvironment, makeEnvironment } from '../../vapp/environment.ts';
import { withEnvironmentDisc, withGuestInfo } from '../../vapp/environment-hardware.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import type { OpenedDisk } from '../changes/open-tracked.ts';
import { customizationAtStart, customizationOfRun, customizationStarted } from '../customize/pending-customization.ts';
import { diskPath, readVmx, writeVmx } from '../files/machine-files.ts';
import { heldDisksOn } from '../record/held-files.ts';
import { tellIdentity } from '../record/identity-events.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { mustNotBeCopied, sharedPaths } from '../record/shared-paths.ts';
import { type RuntimeDocument, readMachine, saveRuntime } from '../registration/registration.ts';
import type { SettleWork } from '../settle/settle-work.ts';
import { namedDisks } from '../snapshot/disk-forest.ts';
import { findToolsDisc, removeToolsDisc, withToolsDisc } from '../tools/tools-disc.ts';
import { exchangeAdapters, forgetCopiedMemory, readCopiedMemory, withKnownAddresses } from './copied-memory.ts';
import { unbootableByEfi } from './efi-boot.ts';
import { machineHardware, tpmName } from './hardware.ts';
import { memoryImageOf, suspendKey } from './memory-image.ts';

const machineTypeKey = 'hypostyle.machineType';
const cpuModelKey = 'hypostyle.cpuModel';

/** Starts a machine's engine. The machine is running and durable as such when it resolves. */
export async function powerOn(
  core: HostCore,
  task: RunningTask,
  id: string,
  watch: (id: string, engine: RunningMachine) => void,
  settle: SettleWork,
): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  if (machine.powerState === 'poweredOn' && core.machines.engine(id) !== undefined) {
    await discardMemoryImage(machine);
    await becomeItself(core, task, machine);
    return;
  }
  if (machine.problem !== undefined) {
    throw fault('InvalidVmConfig', {}, `The machine cannot be powered on: ${machine.problem}.`);
  }
  const ended = core.maintenance.begin();
  let reserved = () => {};
  const starts = machine.powerState === 'suspended' ? 'VmResumingEvent' : 'VmStartingEvent';
  core.registry.commit((draft) => task.post(draft, { type: starts, entity: machine.ref }));
  const began = (engine: RunningMachine) => {
    core.registry.commit((draft) => {
      core.machines.setEngine(id, engine);
      core.machines.change(
        id,
        {
          powerState: 'poweredOn',
          bootTime: new Date(engine.startedAt).toISOString(),
          suspendTime: undefined,
          stats: undefined,
          guest: undefined,
          agentConnected: false,
        },
        draft,
      );
      task.post(draft, { type: 'VmPoweredOnEvent', entity: machine.ref });
      for (const message of unenforced(core, machine.configuration)) {
        task.post(draft, { type: 'GeneralVmWarningEvent', entity: machine.ref, members: { message } });
      }
      const unbootable = unbootableByEfi(machine.configuration, core.hypervisorInfo.capabilities);
      if (unbootable !== undefined)
        task.post(draft, { type: 'VmMessageWarningEvent', entity: machine.ref, members: messageMembers(unbootable) });
    });
    watch(id, engine);
  };
  try {
    reserved = reserveForStart(core, machine);
    await settle.checkSources(machine, task.signal);
    // Whoever reads its disks just now is waited for.
    await core.changes.gate.exclusive(id, () => startEngine(core, task, machine, began));
    settle.begin(id);
  } catch (error) {
    // What was made ready for an engine that never ran is as whole as it was.
    if (core.machines.engine(id) === undefined) await core.changes.close(id);
    await saveRuntime(core, id, { powerState: machine.powerState, suspendTime: machine.suspendTime });
    const typed = powerFault(error, machine);
    core.registry.commit((draft) =>
      task.post(draft, {
        type: 'VmFailedToPowerOnEvent',
        entity: machine.ref,
        members: {
          reason: { _typeName: 'LocalizedMethodFault', fault: typed.detail, localizedMessage: typed.message },
        },
      }),
    );
    throw typed;
  } finally {
    reserved();
    core.resources.begun(id);
    ended();
  }
  await becomeItself(core, task, machine);
}

/** A guest that was copied while it ran gets adapters of its own; one that keeps those of its original is told of. */
async function becomeItself(core: HostCore, task: RunningTask, { datastore, vmxPath, id, ref }: MachineRecord) {
  if (readCopiedMemory(await readVmx(datastore, vmxPath)) === undefined) return;
  const why = await exchangeAdapters(core, id);
  if (why !== undefined) {
    const message = `The guest keeps the network addresses of the machine that it was copied from until its next start: ${why}`;
    core.registry.commit((draft) =>
      task.post(draft, { type: 'GeneralVmWarningEvent', entity: ref, members: { message } }),
    );
  }
  await writeVmx(datastore, vmxPath, forgetCopiedMemory(await readVmx(datastore, vmxPath)));
}

/** What a machine's owner wants of its run and does not get here: said at each start. */
function unenforced(core: HostCore, configuration: MachineConfiguration): string[] {
  const words = core.resources.unenforced(configuration);
  if (configuration.secureBoot)
    words.push('Secure boot is kept and not enforced here: the machine boots whatever is signed or not.');
  return words;
}

function messageMembers(text: string) {
  const id = 'msg.hypostyle.efi.bootController';
  return { message: text, messageInfo: [{ _typeName: 'VirtualMachineMessage', id, text }] };
}

/** `started` is told of the engine at once, before anything else is waited for: its end must not be missed. */
async function startEngine(
  core: HostCore,
  task: RunningTask,
  before: MachineRecord,
  started: (engine: RunningMachine) => void,
): Promise<void> {
  const { datastore, vmxPath, id } = before;
  if (before.powerState !== 'suspended') checkEnvironment(before);
  const vmx = await readVmx(datastore, vmxPath);
  // Known before anything is changed: a machine that was to go on is not started anew.
  const resume = before.powerState === 'suspended' ? await memoryImageOf(before, vmx) : undefined;
  const original = vmx.toString();
  const name = splitPath(vmxPath).name.replace(/\.vmx$/i, '');
  const found = configurationFromVmx(vmx, core.guestOs, name);
  let configuration = withIdentity({ ...found, name: before.configuration.name }, core);
  checkDisksUnclaimed(core, before);
  const folder = dirname(datastore.absolute(vmxPath));
  const { uuid } = configuration;
  const runtime: RuntimeDocument = { uuid, powerState: 'poweredOn', bootTime: new Date().toISOString() };
  const resuming = resume === undefined ? undefined : basename(resume);
  // Durable before the engine is asked for; what is prepared meanwhile is as well.
  const noted = saveRuntime(core, id, { ...runtime, starting: true, resuming });
  // Whoever waits for it hears of it.
  noted.catch(() => {});
  const prepared = await prepareDisks(core, before, configuration);
  const layers = await core.changes.open(before, configuration, prepared.opened);
  configuration = { ...configuration, disks: prepared.disks };
  if (configuration.nvram === '') configuration = { ...configuration, nvram: `${name}.nvram` };
  writeConfiguration(vmx, configuration, core.guestOs);
  if (vmx.toString() !== original) await writeVmx(datastore, vmxPath, vmx);
  const [read] = await Promise.all([
    readMachine(core, datastore, vmxPath),
    // Its folder is there before what is in it is looked at: one that appears meanwhile is taken for a file that is gone.
    mkdir(join(folder, '.hypo'), { recursive: true }).then(() =>
      checkFiles({ datastore, vmxPath, configuration: configurationFromVmx(vmx, core.guestOs, name) }),
    ),
  ]);
  const machine: MachineRecord = { ...before, ...read };
  const { vApp, vAppProblem, disks, modified, files } = machine;
  core.registry.commit((draft) => {
    const now = machine.configuration;
    core.machines.change(id, { configuration: now, vApp, vAppProblem, disks, modified, files }, draft);
    tellIdentity(core, { task, draft }, machine, { before: before.configuration, now });
  });
  const [environment, customization] = await (resume === undefined
    ? Promise.all([makeEnvironment(machine), customizationAtStart(machine)])
    : Promise.all([findEnvironment(datastore, vmxPath), customizationOfRun(machine)]));
  const plain = machineHardware(machine, {
    layers,
    imagePath: (fileName) => diskPath(datastore, vmxPath, fileName),
    networkExists: (network) => core.networks.find(network) !== undefined,
    limits: core.limits,
  });
  const told = core.hypervisorInfo.capabilities.guestData ? withGuestInfo(plain, environment.guestInfo?.path) : plain;
  const built = [environment.disc, customization].reduce(
    (so, disc) => (disc === undefined ? so : withEnvironmentDisc(so, disc)),
    told,
  );
  if (resume === undefined) await removeToolsDisc(machine);
  const equipped = withToolsDisc(built, resume === undefined ? undefined : await findToolsDisc(machine));
  const copied = resume === undefined ? undefined : readCopiedMemory(vmx);
  const hardware = copied === undefined ? equipped : withKnownAddresses(equipped, machine.configuration, copied);
  core.machines.change(id, { guestEnvironment: environment.guestInfo?.text });
  await noted;
  const engine = await core.hypervisor.start({
    uuid: hardware.uuid,
    runDirectory: runDirectoryOf(core, id),
    lockPath: join(folder, '.hypo', 'vm.lck'),
    logPath: join(folder, 'hypostyle.log'),
    hardware,
    onProcess: (pid) => core.resources.begin(id, pid),
    ...platformOf(vmx),
    ...(resume === undefined ? {} : { resumeFrom: resume, beforeResume: async () => saveRuntime(core, id, runtime) }),
    ...(copied === undefined ? {} : { resumedAs: copied.uuid }),
  });
  started(engine);
  // The guest runs, whatever becomes of what is written down after it.
  try {
    // What its end writes down comes later than this, or has been written already.
    if (resume === undefined && engine.state !== 'stopped') await saveRuntime(core, id, runtime);
    await afterStart(machine, vmx, engine, resume);
    if (customization !== undefined && resume === undefined) await customizationStarted(core, task, machine);
  } catch (error) {
    core.onDefect('after a start', error);
  }
}

/** What the engine reads and writes beside its disks is what it is called, and no link that leads elsewhere. */
async function checkFiles({
  datastore,
  vmxPath,
  configuration: c,
}: Pick<MachineRecord, 'datastore' | 'vmxPath' | 'configuration'>): Promise<void> {
  const { folder } = splitPath(vmxPath);
  const paths = [...c.cdroms, ...c.floppies].flatMap(({ fileName, startConnected }) => {
    const image = fileName === undefined || !startConnected ? undefined : datastore.relative(vmxPath, fileName);
    return image === undefined ? [] : [image];
  });
  const serials = c.serials.filter((serial) => serial.kind === 'file').map((serial) => serial.fileName);
  for (const fileName of ['hypostyle.log', '.hypo', join('.hypo', 'vm.lck'), c.nvram, tpmName(vmxPath), ...serials]) {
    const name = fileName.startsWith('.hypo') ? fileName : splitPath(fileName.replace(/^\[[^\]]*\] */, '')).name;
    if (name !== '') paths.push(joinPath(folder, name));
  }
  await Promise.all(
    paths.map((path) => {
      const at = datastore.locate(path);
      return resolveInRoot(at.datastore, at.path);
    }),
  );
}

export function runDirectoryOf(core: Pick<HostCore, 'runDirectory'>, id: string): string {
  return join(core.runDirectory, id);
}

function platformOf(vmx: VmxFile): { readonly platform?: { readonly machineType: string; readonly cpuModel: string } } {
  const machineType = vmx.get(machineTypeKey);
  const cpuModel = vmx.get(cpuModelKey);
  // A `.vmx` that came from elsewhere may say anything, and an engine takes more of its machine after a comma.
  if (!/^[\w.-]{1,100}$/.test(machineType ?? '')) return {};
  if (!/^[\w.-]+(,[^\u0000-\u001f]*)?$/.test(cpuModel ?? '')) return {};
  return machineType && cpuModel ? { platform: { machineType, cpuModel } } : {};
}

/** Takes out what a `.vmx` says of a memory image. */
export function forgetImage(vmx: VmxFile): VmxFile {
  return forgetCopiedMemory(vmx.delete(suspendKey));
}

/** Remembers the platform that a suspended machine will need, and lets go of the memory image that was read. */
async function afterStart(
  { datastore, vmxPath }: MachineRecord,
  vmx: VmxFile,
  engine: RunningMachine,
  resumed: string | undefined,
): Promise<void> {
  const before = vmx.toString();
  vmx.set(machineTypeKey, engine.platform.machineType).set(cpuModelKey, engine.platform.cpuModel);
  vmx.set('bios.forceSetupOnce', 'FALSE');
  if (!/bios\.forcesetuponce/i.test(before)) vmx.delete('bios.forceSetupOnce');
  vmx.delete(suspendKey);
  // The name goes last: a restart in between finds it, and does the rest again.
  if (resumed !== undefined) await rm(resumed, { force: true });
  if (vmx.toString() !== before) await writeVmx(datastore, vmxPath, vmx);
}

/** A start that a restart cut off may have left the image that it went on from. */
async function discardMemoryImage({ datastore, vmxPath }: MachineRecord): Promise<void> {
  const vmx = await readVmx(datastore, vmxPath);
  const image = vmx.get(suspendKey) ?? '';
  if (image === '') return;
  // The name goes last.
  await rm(join(dirname(datastore.absolute(vmxPath)), splitPath(image).name), { force: true });
  await writeVmx(datastore, vmxPath, vmx.delete(suspendKey));
}

/** What a machine that came without them is given at its first power-on. */
export function withIdentity(c: MachineConfiguration, core: HostCore): MachineConfiguration {
  const taken = new Set<string>();
  if (c.nics.some((nic) => nic.mac === ''))
    for (const machine of core.machines.all()) for (const { mac } of machine.configuration.nics) taken.add(mac);
  const nics = c.nics.map((nic): Nic => {
    if (nic.mac !== '') return nic;
    const mac = newMac(taken);
    taken.add(mac);
    return { ...nic, mac };
  });
  return { ...c, nics, uuid: c.uuid || newUuid(), instanceUuid: c.instanceUuid || newUuid() };
}

function newUuid(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5');
}

/** A free address of VMware's range for generated ones: 00:0c:29. */
function newMac(taken: ReadonlySet<string>): string {
  for (;;) {
    const mac = `00:0c:29:${randomBytes(3)
      .toString('hex')
      .replace(/(..)(..)(..)/, '$1:$2:$3')}`;
    if (!taken.has(mac)) return mac;
  }
}

/**
 * Makes each disk ready to be written: a foreign one gets a delta of ours on top and is never written itself, and what
 * will be written has a new CID on disk first.
 */
export async function prepareDisks(
  core: HostCore,
  machine: MachineRecord,
  configuration: Pick<MachineConfiguration, 'disks' | 'controllers'>,
): Promise<{ readonly disks: Disk[]; readonly opened: readonly OpenedDisk[] }> {
  const { datastore, vmxPath } = machine;
  const allowOutside = (path: string) => datastore.holds(path);
  const disks: Disk[] = [];
  const opened: OpenedDisk[] = [];
  const snapshots = { disks: new Map(), snapshots: machine.snapshots };
  const kept = new Set([...namedDisks(snapshots)].map((kept) => datastore.absolute(kept)));
  for (const disk of configuration.disks) {
    let path = diskPath(datastore, vmxPath, disk.fileName);
    let chain = await readDiskChain(path, { allowOutside });
    await checkExtents(chain);
    await checkLinks(datastore, chain);
    await checkWritable(core, machine, { disk, shared: isShared(configuration, disk) }, chain);
    const unchanged = await core.changes.isUnchanged(machine, chain);
    let fileName = disk.fileName;
    let fresh = false;
    // What a snapshot has is not written, and neither is what we cannot write.
    if (chain.links[0].kind === 'foreign' || (disk.mode === 'persistent' && kept.has(path))) {
      const taken = new Set(await readdir(dirname(path)));
      const name = nextDeltaName(splitPath(path).name, (candidate) => taken.has(candidate));
      fileName = fileName.slice(0, fileName.length - splitPath(fileName).name.length) + name;
      path = join(dirname(path), name);
      await createDelta({ path, parent: chain, images: core.hypervisor.images });
      chain = await readDiskChain(path, { allowOutside });
      fresh = true;
    }
    disks.push({ ...disk, fileName });
    opened.push({ disk, chain, unchanged, fresh });
  }
  // Once nothing speaks against any of them: a disk that was given a new one counts as written.
  const written = opened.filter(({ disk }) => disk.mode !== 'independent_nonpersistent');
  await Promise.all(written.map(({ chain }) => renewContentId(chain)));
  return { disks, opened };
}

/** A link in a folder that was brought may lead anywhere, and the engine would write there. */
async function checkLinks(datastore: Datastore, chain: DiskChain): Promise<void> {
  for (const { descriptorPath, extentPaths, changesPath } of chain.links) {
    for (const path of [descriptorPath, ...extentPaths, ...(changesPath === undefined ? [] : [changesPath])]) {
      const at = datastore.locate(datastore.pathOf(path));
      await resolveInRoot(at.datastore, at.path);
    }
  }
}

/**
 * Throws FileLocked where another machine runs on the disk or on a base of it, or has a delta on top of it: bytes would
 * change below one of them. A disk that both share is written by both, unless one of them is being copied. Known before anything is written, since the engines' own locks come after the new CID.
 */
async function checkWritable(
  core: HostCore,
  machine: MachineRecord,
  { disk, shared }: { readonly disk: Disk; readonly shared: boolean },
  chain: DiskChain,
): Promise<void> {
  const { datastore } = machine;
  const paths = chain.links.map(({ descriptorPath }) => datastore.pathOf(descriptorPath));
  const written = chain.links[0].kind !== 'foreign' && disk.mode !== 'independent_nonpersistent';
  const kept = new Set([...namedDisks({ disks: new Map(), snapshots: machine.snapshots })]);
  const [top] = paths;
  const reason = !shared
    ? undefined
    : top !== undefined && disk.mode === 'persistent' && kept.has(top)
      ? 'it has a snapshot'
      : unshareable(disk, chain);
  if (reason !== undefined) throw unshareableFault(datastore.format(top ?? ''), reason);
  if (written && top !== undefined && !(disk.mode === 'persistent' && kept.has(top))) {
    for (const { disks } of await core.diskChildren.held(datastore, [splitPath(top).folder])) {
      const [child, ...bases] = [...disks.values()].flatMap(({ chain: links }) => links.map(([path = '']) => path));
      if (child === undefined || !bases.includes(top)) continue;
      const file = datastore.format(top);
      throw fault('FileLocked', { file }, `The disk ${file} is the base of ${datastore.format(child)}.`);
    }
  }
  for (const other of core.machines.all()) {
    if (other.id === machine.id) continue;
    const now = other.powerState === 'poweredOff' ? 0 : other.disks.size;
    const sharing = shared && top !== undefined && sharedPaths(other, datastore).has(top);
    if (sharing) mustNotBeCopied(core, other);
    for (const [index, facts] of heldDisksOn(other, datastore).entries()) {
      const [own, ...bases] = facts.chain.map(([descriptor]) => descriptor);
      // Disks as they are come before those of snapshots.
      const running = index < now && paths.find((path) => path === own);
      const below = written ? bases.find((path) => path === paths[0]) : undefined;
      const path = (running && sharing ? undefined : running) || below;
      if (!path) continue;
      const file = datastore.format(path);
      const why = running ? `is used by '${other.configuration.name}'` : `is the base of '${other.configuration.name}'`;
      throw fault('FileLocked', { file }, `The disk ${file} ${why}.`);
    }
  }
}

/** A failed start in the specification's words. */
function powerFault(error: unknown, machine: MachineRecord): VimFault {
  const message = machine.datastore.shown(error instanceof Error ? error.message : String(error));
  if (error instanceof HypervisorError) {
    if (error.code === 'locked')
      return fault(
        'FileLocked',
        { file: machine.datastore.format(machine.vmxPath) },
        `${machine.configuration.name} is running elsewhere: ${message}`,
        { cause: error },
      );
    if (error.code === 'unsupported-hardware') return fault('InvalidVmConfig', {}, message, { cause: error });
    return fault('GenericVmConfigFault', { reason: message.slice(0, 2000) }, message, { cause: error });
  }
  if (error instanceof HostError || (error instanceof Error && error.name === 'VmdkError')) {
    return fault('InvalidVmConfig', {}, message, { cause: error });
  }
  if (error instanceof Error && error.name === 'VimFault') return error as VimFault;
  return fault('GenericVmConfigFault', { reason: message.slice(0, 2000) }, message, { cause: error });
}

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { release, totalmem } from 'node:os';
import { join } from 'node:path';
import { type HypervisorInfo, type MachinePlatform, nicModels } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { memoryStepMiB } from '../hotplug/hot-memory.ts';
import { isHotPluggable, supportedControllers } from '../machine/controllers.ts';
import { findProgram } from '../process/find-program.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { queryEngine } from './engine-query.ts';
import { whyNoKvmDevice, whyNotKvm } from './kvm-test.ts';

/** Time for everything that is tried with KVM. */
const kvmTimeoutMs = 4_000;
const engineTimeoutMs = 15_000;
/** Changes when what a verdict holds, or how it is reached, changes. */
const verdictFormat = 1;

/** What was found out about an engine on this machine. */
export interface ProbeVerdict {
  readonly version: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly acceleratorReason?: string;
  readonly maxCpus: number;
  /** For machines that start for the first time. */
  readonly platform: MachinePlatform;
}

/** Finds the accelerator by running a guest; the verdict is kept in `cacheDirectory` by kernel, engine and CPU. */
export async function probeEngine(options: {
  readonly program: string;
  readonly cacheDirectory: string;
}): Promise<ProbeVerdict & { readonly program: string }> {
  const program = await findProgram(options.program);
  if (program === undefined) throw qemuErrors.engineMissing(options.program);
  const deviceReason = await whyNoKvmDevice();
  const key = await verdictKey(program, deviceReason);
  const path = join(options.cacheDirectory, `qemu-${key}.json`);
  const kept = await readVerdict(path);
  if (kept) return { ...kept, program };
  const verdict = await decide(program, deviceReason);
  await mkdir(options.cacheDirectory, { recursive: true });
  const fresh = `${path}.${randomUUID()}`;
  await writeFile(fresh, JSON.stringify(verdict));
  await rename(fresh, path);
  return { ...verdict, program };
}

async function decide(program: string, deviceReason: string | undefined): Promise<ProbeVerdict> {
  const kvm = deviceReason === undefined ? await tryKvm(program) : deviceReason;
  if (typeof kvm === 'object') return kvm;
  const { version, machineType, cpuModel, maxCpus } = await queryEngine({
    program,
    accelerator: 'tcg',
    timeoutMs: engineTimeoutMs,
  });
  return { version, accelerator: 'tcg', acceleratorReason: kvm, maxCpus, platform: { machineType, cpuModel } };
}

/** The verdict, or why KVM is not for us. */
async function tryKvm(program: string): Promise<ProbeVerdict | string> {
  const deadline = performance.now() + kvmTimeoutMs;
  try {
    const engine = await queryEngine({ program, accelerator: 'kvm', timeoutMs: kvmTimeoutMs });
    const { version, machineType, cpuModel, maxCpus } = engine;
    const timeoutMs = Math.max(1000, Math.round(deadline - performance.now()));
    const reason = await whyNotKvm({ program, cpuModel, timeoutMs });
    return reason ?? { version, accelerator: 'kvm', maxCpus, platform: { machineType, cpuModel } };
  } catch (error) {
    return `KVM does not run a guest here: ${messageOf(error)}`;
  }
}

/** What the contract tells of a verdict. */
export function hypervisorInfo(
  verdict: ProbeVerdict,
  { efi, tpm }: { readonly efi: boolean; readonly tpm: boolean },
): HypervisorInfo {
  return {
    product: 'QEMU',
    version: verdict.version,
    accelerator: verdict.accelerator,
    ...(verdict.acceleratorReason ? { acceleratorReason: verdict.acceleratorReason } : {}),
    capabilities: {
      suspend: true,
      efi,
      // Debian's OVMF has no drivers for SCSI controllers.
      efiBootControllers: ['ide', 'ahci', 'nvme'],
      guestAgent: true,
      guestPrograms: true,
      screenshots: true,
      keyStrokes: true,
      vnc: true,
      serial: true,
      hotPlug: {
        controllerModels: supportedControllers.filter(isHotPluggable),
        cpus: true,
        memoryStepMiB,
        nics: true,
        media: true,
      },
      resourceLimits: true,
      liveMigration: false,
      diskSnapshots: true,
      memorySnapshots: true,
      instantDisks: true,
      changedBlocks: true,
      diskMoves: true,
      guestData: true,
      sharedDisks: true,
      nicLimits: true,
      tpm: efi && tpm,
      nicModels,
      controllerModels: supportedControllers,
      maxCpus: verdict.maxCpus,
      maxMemoryMiB: Math.floor(totalmem() / 2 ** 20),
    },
  };
}

async function verdictKey(program: string, deviceReason: string | undefined): Promise<string> {
  const { size, mtimeMs } = await stat(program);
  const cpu = /^model name\s*:.*$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[0] ?? '';
  const facts = [verdictFormat, release(), program, size, mtimeMs, cpu, deviceReason ?? ''];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

async function readVerdict(path: string): Promise<ProbeVerdict | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isObject(value) && isObject(value.platform) && typeof value.platform.cpuModel === 'string'
      ? (value as unknown as ProbeVerdict)
      : undefined;
  } catch {
    return undefined;
  }
}

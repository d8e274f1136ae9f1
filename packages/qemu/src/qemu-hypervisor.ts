import type {
  AdoptRequest,
  Hypervisor,
  HypervisorInfo,
  ImageTool,
  RunningMachine,
  StartRequest,
} from '@hypostyle/contracts';
import { HypervisorError } from '@hypostyle/contracts';
import { adoptEngine } from './adopt.ts';
import { messageOf, qemuErrors } from './errors.ts';
import { imageTool } from './image/image-tool.ts';
import type { Engine } from './machine/engine.ts';
import { hasEfiFirmware } from './machine/firmware.ts';
import { adoptSaving } from './machine/machine-snapshot.ts';
import { QemuMachine, readAgentConnected, readStatus } from './machine/qemu-machine.ts';
import { hasTpmProgram } from './machine/tpm.ts';
import { hypervisorInfo, type ProbeVerdict, probeEngine } from './probe/probe.ts';
import { Spawner } from './process/spawner.ts';
import { startEngine } from './start.ts';

export interface QemuHypervisorOptions {
  /** Keeps what was found out about engine and machine; made when missing. */
  readonly cacheDirectory: string;
  /** Name or path; `qemu-system-x86_64` when left out. */
  readonly program?: string;
  /** Folder of the EFI firmware; `/usr/share/OVMF` when left out. */
  readonly firmwareDirectory?: string;
}

/**
 * Hypervisor on QEMU 7.2 or newer, under KVM where it runs a guest, else under TCG.
 *
 * Engines have sessions of their own and outlive the process that started them. As a systemd service, set
 * `KillMode=process`: engines are in the service's control group, and stopping it would end them.
 */
export class QemuHypervisor implements Hypervisor {
  readonly #options: Required<QemuHypervisorOptions>;
  readonly #spawner = new Spawner();
  readonly images: ImageTool = imageTool((command, options) => this.#spawner.run(command, options));
  readonly #machines = new Map<string, QemuMachine>();
  #verdict: Promise<ProbeVerdict & { readonly program: string }> | undefined;

  constructor(options: QemuHypervisorOptions) {
    this.#options = { program: 'qemu-system-x86_64', firmwareDirectory: '/usr/share/OVMF', ...options };
  }

  async probe(): Promise<HypervisorInfo> {
    this.#spawner.warmUp();
    const [efi, tpm] = await Promise.all([hasEfiFirmware(this.#options.firmwareDirectory), hasTpmProgram()]);
    return hypervisorInfo(await this.#probed(), { efi, tpm });
  }

  async start(request: StartRequest): Promise<RunningMachine> {
    if (request.uuid !== request.hardware.uuid) {
      throw qemuErrors.startFailed('The request and its hardware name different machines.');
    }
    // Whoever heard of the end of its engine may be quicker than what is done after it.
    const former = this.#machines.get(request.uuid);
    if (former?.state === 'stopped') await former.ended;
    if (this.#machines.has(request.uuid)) throw qemuErrors.locked(request.lockPath);
    const { firmwareDirectory } = this.#options;
    try {
      const verdict = await this.#probed();
      const engine = await startEngine(request, { verdict, spawner: this.#spawner, firmwareDirectory });
      const machine = this.#take(engine, { state: 'running', agentConnected: false });
      // An agent that was there before the suspend is there already, and says nothing of itself.
      if (request.resumeFrom !== undefined) await machine.lookForAgent();
      return machine;
    } catch (error) {
      throw error instanceof HypervisorError ? error : qemuErrors.startFailed(messageOf(error), error);
    }
  }

  async adopt(request: AdoptRequest): Promise<RunningMachine | undefined> {
    const present = this.#machines.get(request.uuid);
    if (present) return present;
    const engine = await adoptEngine(request);
    if (!engine) return undefined;
    await adoptSaving(engine);
    const [{ state, status }, agentConnected] = await Promise.all([readStatus(engine), readAgentConnected(engine)]);
    const machine = this.#take(engine, { state, agentConnected, diskFailed: status === 'io-error' });
    // A suspend that the last owner began goes on by itself; its end is an event.
    machine.continueSuspend().catch(() => {});
    return machine;
  }

  async detach(): Promise<void> {
    for (const machine of this.#machines.values()) machine.detach();
    this.#machines.clear();
    this.#spawner.close();
  }

  #take(
    engine: Engine,
    start: Pick<ConstructorParameters<typeof QemuMachine>[0], 'state' | 'agentConnected' | 'diskFailed'>,
  ): QemuMachine {
    const { uuid } = engine.identity;
    const machine = new QemuMachine({
      engine,
      spawner: this.#spawner,
      ...start,
      onEnded: () => this.#machines.delete(uuid),
    });
    this.#machines.set(uuid, machine);
    return machine;
  }

  #probed(): Promise<ProbeVerdict & { readonly program: string }> {
    this.#verdict ??= probeEngine(this.#options).catch((error: unknown) => {
      this.#verdict = undefined;
      throw error instanceof HypervisorError ? error : qemuErrors.engineTooOld(messageOf(error), error);
    });
    return this.#verdict;
  }
}

import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BackingChange,
  DiskExport,
  DiskExportOptions,
  DiskOverlay,
  GenerationStart,
  GuestFacts,
  GuestProgram,
  GuestProgramEnd,
  GuestProgramState,
  KeyStroke,
  LayerCommit,
  LayerGenerations,
  MachineEvent,
  MachineHardware,
  MachineMove,
  MachinePlatform,
  MachineSnapshot,
  MachineSnapshotTaken,
  MachineState,
  MachineUsage,
  RunningMachine,
  ScreenImage,
} from '@hypostyle/contracts';

import { commitLayer } from '../blocks/commit-layer.ts';
import { exportDisk } from '../blocks/export-disk.ts';
import { beginGenerations, forgetGenerations, readGenerations } from '../blocks/generations.ts';
import { moveDisks } from '../blocks/move-disks.ts';
import { replaceBacking } from '../blocks/replace-backing.ts';
import { hasOverlays, snapshotDisks } from '../blocks/snapshot-disks.ts';
import { captureScreen } from '../console/capture-screen.ts';
import { pressKeys } from '../console/press-keys.ts';
import { qemuErrors } from '../errors.ts';
import { GuestAgentError, withGuestAgent } from '../guest/guest-agent.ts';
import { askGuestFacts } from '../guest/guest-facts.ts';
import { freezeGuest, thawGuest } from '../guest/guest-freeze.ts';
import { lookAtGuestProgram, runGuestProgram, startGuestProgram } from '../guest/guest-programs.ts';
import { changeHardware } from '../hotplug/change-hardware.ts';
import { growDisk } from '../hotplug/grow-disk.ts';
import { limitGuestMemory } from '../limits/guest-memory.ts';
import { ShaperWatch } from '../limits/nic-limits.ts';
import type { EngineExit, Spawner } from '../process/spawner.ts';
import { isObject, type QmpEvent } from '../qmp/qmp-message.ts';
import { deviceId, diskIdOf } from './device.ts';
import type { Engine } from './engine.ts';
import { locksFreed } from './kept-lock.ts';
import { MachineEvents } from './machine-events.ts';
import { snapshotMachine } from './machine-snapshot.ts';
import { removeRunFiles } from './run-files.ts';
import { finishSuspend, suspendTo } from './suspend.ts';
import { measureUsage } from './usage.ts';

type EndReason = (MachineEvent & { kind: 'ended' })['reason'];

/** How long a guest agent may take to refuse, milliseconds. */
const refusalTimeoutMs = 500;
/** Resets of a guest that follow each other faster than this are one. */
const resetSettleMs = 500;

export interface QemuMachineOptions {
  readonly engine: Engine;
  readonly spawner: Spawner;
  readonly state: MachineState;
  readonly agentConnected: boolean;
  /** It stands still for a disk since before it had this owner, who has to be told. */
  readonly diskFailed?: boolean;
  /** Called once, when the engine is gone. */
  readonly onEnded: () => void;
}

/** One machine under a QEMU engine. */
export class QemuMachine implements RunningMachine {
  readonly #engine: Engine;
  readonly #spawner: Spawner;
  readonly #shaper: ShaperWatch;
  readonly #events = new MachineEvents();
  readonly #onEnded: () => void;
  #state: MachineState;
  #agentConnected: boolean;
  /** The suspend of an earlier owner is over, one way or the other. */
  #continued: Promise<void> = Promise.resolve();
  #diskFailed: boolean;
  #ending: EndReason | undefined;
  #lastReset = Number.NEGATIVE_INFINITY;
  #powerOff: Promise<void> | undefined;
  /** Agent sessions one after another: its channel takes one. */
  #agentTurn: Promise<unknown> = Promise.resolve();
  /** Keys one call after another, and pictures. */
  #keyTurn: Promise<unknown> = Promise.resolve();
  #screenTurn: Promise<unknown> = Promise.resolve();
  readonly #ended: Promise<void>;

  constructor(options: QemuMachineOptions) {
    this.#engine = options.engine;
    this.#spawner = options.spawner;
    this.#shaper = new ShaperWatch(options.engine, options.spawner);
    void this.#shaper.look();
    this.#onEnded = options.onEnded;
    this.#state = options.state;
    this.#agentConnected = options.agentConnected;
    this.#diskFailed = options.diskFailed ?? false;
    this.#engine.onEvent((event) => this.#receive(event));
    this.#engine.onReconnect(() => void this.#resynchronize().catch(() => {}));
    this.#ended = this.#engine.gone.then((exit) => this.#end(exit));
  }

  get uuid(): string {
    return this.#engine.identity.uuid;
  }

  get platform(): MachinePlatform {
    return this.#engine.identity.platform;
  }

  get pid(): number {
    return this.#engine.identity.pid;
  }

  get startedAt(): number {
    return this.#engine.identity.startedAt;
  }

  get vncSocketPath(): string {
    return this.#engine.run.vnc;
  }

  get serialSocketPaths(): readonly string[] {
    return Array.from({ length: this.#engine.identity.serialCount }, (_, index) => this.#engine.run.serial(index));
  }

  get state(): MachineState {
    return this.#state;
  }

  /** Resolves once the engine is gone and everything of its start with it. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  subscribe(listener: (event: MachineEvent) => void): () => void {
    const unsubscribe = this.#events.subscribe(listener);
    if (this.#diskFailed) void this.#reportFailedDisks().catch(() => {});
    this.#diskFailed = false;
    return unsubscribe;
  }

  powerOff(): Promise<void> {
    this.#powerOff ??= this.#endAs('requested').finally(() => {
      this.#powerOff = undefined;
    });
    return this.#powerOff;
  }

  async reset(): Promise<void> {
    await this.#engine.execute('system_reset');
  }

  async pause(): Promise<void> {
    await this.#engine.execute('stop');
  }

  async resume(): Promise<void> {
    await this.#engine.execute('cont');
  }

  async suspend(path: string): Promise<void> {
    await this.#continued;
    await suspendTo({ engine: this.#engine, spawner: this.#spawner, path });
    await this.#endAs('suspended');
  }

  /** Brings a suspend that an earlier owner began to its end. */
  async continueSuspend(): Promise<void> {
    const finished = finishSuspend(this.#engine);
    this.#continued = finished.then(
      () => {},
      () => {},
    );
    if (await finished) await this.#endAs('suspended');
  }

  async requestShutdown(): Promise<void> {
    if (this.#agentConnected && (await this.#askAgentToShutDown('powerdown'))) return;
    await this.#engine.execute('system_powerdown');
  }

  async requestReboot(): Promise<void> {
    this.#mustRun();
    if (this.#agentConnected && (await this.#askAgentToShutDown('reboot'))) return;
    throw qemuErrors.agentAbsent('The guest agent does not answer, and there is no other way to ask for a reboot.');
  }

  async snapshotDisks(overlays: readonly DiskOverlay[]): Promise<void> {
    this.#mustRun();
    await this.#engine.patiently(() => snapshotDisks(this.#engine, overlays));
  }

  async commitLayer(commit: LayerCommit): Promise<void> {
    this.#mustRun();
    await this.#engine.patiently(() => commitLayer(this.#engine, commit));
  }

  async replaceBacking(change: BackingChange): Promise<void> {
    this.#mustRun();
    await this.#engine.patiently(() => replaceBacking(this.#engine, change));
  }

  async moveDisks(move: MachineMove): Promise<void> {
    this.#mustRun();
    await this.#engine.patiently(() => moveDisks(this.#engine, this.#spawner, move));
  }

  async snapshotMachine(snapshot: MachineSnapshot): Promise<MachineSnapshotTaken> {
    this.#mustRun();
    const taking = { engine: this.#engine, spawner: this.#spawner, snapshot };
    return this.#engine.patiently(() => snapshotMachine(taking));
  }

  async hasOverlays(overlays: readonly DiskOverlay[]): Promise<boolean> {
    this.#mustRun();
    return hasOverlays(this.#engine, overlays);
  }

  async freezeGuest(options?: { readonly timeoutMs?: number }): Promise<() => Promise<void>> {
    this.#mustHearAgent();
    return freezeGuest((use) => this.#withAgent(use), options);
  }

  async thawGuest(): Promise<void> {
    this.#mustRun();
    if (this.#agentConnected) await thawGuest((use) => this.#withAgent(use));
  }

  async exportDisk(diskId: string, options?: DiskExportOptions): Promise<DiskExport> {
    this.#mustRun();
    return exportDisk(this.#engine, diskId, options);
  }

  async beginGenerations(starts: readonly GenerationStart[]): Promise<void> {
    this.#mustRun();
    await beginGenerations(this.#engine, starts);
  }

  async generations(diskId: string): Promise<readonly LayerGenerations[]> {
    this.#mustRun();
    return readGenerations(this.#engine, diskId);
  }

  async forgetGenerations(diskId: string, names: readonly string[]): Promise<void> {
    this.#mustRun();
    await forgetGenerations(this.#engine, diskId, names);
  }

  async runInGuest(program: GuestProgram): Promise<GuestProgramEnd> {
    this.#mustHearAgent();
    return runGuestProgram((use) => this.#withAgent(use), program);
  }

  async startInGuest(program: GuestProgram): Promise<number> {
    this.#mustHearAgent();
    return startGuestProgram((use) => this.#withAgent(use), program);
  }

  async guestProgram(pid: number): Promise<GuestProgramState | undefined> {
    this.#mustHearAgent();
    return lookAtGuestProgram((use) => this.#withAgent(use), pid);
  }

  async captureScreen(): Promise<ScreenImage> {
    this.#mustRun();
    const turn = this.#screenTurn.then(() => captureScreen(this.#engine, this.#engine.run.screen));
    this.#screenTurn = turn.catch(() => {});
    return turn;
  }

  async pressKeys(strokes: readonly KeyStroke[]): Promise<void> {
    this.#mustRun();
    const turn = this.#keyTurn.then(() => pressKeys(this.#engine, strokes));
    this.#keyTurn = turn.catch(() => {});
    return turn;
  }

  async raiseNmi(): Promise<void> {
    await this.#engine.execute('inject-nmi');
  }

  async changeHardware(hardware: MachineHardware): Promise<void> {
    this.#mustRun();
    await changeHardware(this.#engine, this.#spawner, hardware);
    void this.#shaper.look();
  }

  async limitMemory(memoryMiB: number | undefined): Promise<void> {
    this.#mustRun();
    await limitGuestMemory(this.#engine, memoryMiB);
  }

  async growDisk(diskId: string, virtualBytes: number): Promise<void> {
    this.#mustRun();
    await growDisk(this.#engine, diskId, virtualBytes);
  }

  usage(): Promise<MachineUsage> {
    return measureUsage(this.#engine);
  }

  async guestFacts(): Promise<GuestFacts | undefined> {
    this.#mustRun();
    if (!this.#agentConnected) return undefined;
    try {
      return await this.#withAgent(askGuestFacts);
    } catch (error) {
      if (error instanceof GuestAgentError) return undefined;
      throw error;
    }
  }

  /** Lets go without touching the engine. */
  detach(): void {
    this.#events.clear();
    this.#shaper.close();
    this.#engine.detach();
  }

  #mustRun(): void {
    if (this.#engine.isGone) throw qemuErrors.notRunning(this.uuid);
  }

  #mustHearAgent(): void {
    this.#mustRun();
    if (!this.#agentConnected) throw qemuErrors.agentAbsent('The guest agent does not answer.');
  }

  async #endAs(reason: EndReason): Promise<void> {
    this.#ending ??= reason;
    if (!this.#engine.isGone) await this.#engine.quit();
    await this.#ended;
  }

  #withAgent<T>(use: Parameters<typeof withGuestAgent<T>>[1]): Promise<T> {
    const turn = this.#agentTurn.then(() => withGuestAgent(this.#engine.run.agent, use));
    this.#agentTurn = turn.catch(() => {});
    return turn;
  }

  /** An agent that obeys never answers, and its channel may close with its guest; only a refusal comes back. */
  async #askAgentToShutDown(mode: 'powerdown' | 'reboot'): Promise<boolean> {
    try {
      await this.#withAgent(async (call) => {
        const obeyed = call('guest-shutdown', { mode }).catch((error: unknown) => {
          if (error instanceof GuestAgentError && error.refused) throw error;
        });
        await Promise.race([obeyed, sleep(refusalTimeoutMs, undefined, { ref: false })]);
      });
      return true;
    } catch (error) {
      if (error instanceof GuestAgentError) return false;
      throw error;
    }
  }

  #receive({ name, data }: QmpEvent): void {
    switch (name) {
      case 'STOP':
        this.#setState('paused');
        break;
      case 'RESUME':
        this.#setState('running');
        break;
      case 'SHUTDOWN':
        if (data.guest === true) void this.#endAs('guest-shutdown').catch(() => {});
        break;
      case 'RESET':
        if (data.guest === true) this.#reportReset();
        break;
      case 'GUEST_PANICKED':
        this.#events.emit({ kind: 'guest-panic' });
        break;
      case 'VSERPORT_CHANGE':
        if (data.id === deviceId.agentPort) this.#setAgent(data.open === true);
        break;
      case 'BLOCK_IO_ERROR':
        void this.#reportDiskError(data).catch(() => {});
        break;
    }
  }

  /** Notices an agent that no event told of. */
  async lookForAgent(): Promise<void> {
    this.#setAgent(await readAgentConnected(this.#engine));
  }

  /** A guest that reboots tries several ways at once, and each is an event of the engine. */
  #reportReset(): void {
    const now = performance.now();
    if (now - this.#lastReset > resetSettleMs) this.#events.emit({ kind: 'guest-reset' });
    this.#lastReset = now;
  }

  #setState(state: MachineState): void {
    if (this.#state === state || this.#state === 'stopped') return;
    this.#state = state;
    // A guest that shut down stops first; its end is the news.
    if (this.#ending === undefined) this.#events.emit({ kind: 'state', state });
  }

  #setAgent(connected: boolean): void {
    if (this.#agentConnected === connected) return;
    this.#agentConnected = connected;
    this.#events.emit({ kind: 'agent', connected });
  }

  async #reportDiskError(data: QmpEvent['data']): Promise<void> {
    const devices = await this.#engine.execute('query-block');
    const owner = (Array.isArray(devices) ? devices : []).find(
      (device: unknown) =>
        isObject(device) && isObject(device.inserted) && device.inserted['node-name'] === data['node-name'],
    ) as { readonly qdev?: unknown } | undefined;
    const diskId = typeof owner?.qdev === 'string' ? diskIdOf(owner.qdev) : undefined;
    if (diskId === undefined) return;
    const detail = typeof data.reason === 'string' ? data.reason : 'unknown error';
    this.#events.emit({
      kind: 'disk-error',
      diskId,
      detail,
      noSpace: data.nospace === true,
      paused: data.action === 'stop',
    });
  }

  /** What an event told nobody: the disks for which the machine stands still. */
  async #reportFailedDisks(): Promise<void> {
    const devices = await this.#engine.execute('query-block');
    for (const device of Array.isArray(devices) ? devices : []) {
      if (!isObject(device) || typeof device.qdev !== 'string') continue;
      const status = device['io-status'];
      const diskId = diskIdOf(device.qdev);
      if (diskId === undefined || (status !== 'nospace' && status !== 'failed')) continue;
      const noSpace = status === 'nospace';
      const detail = noSpace ? 'No space left on device' : 'Input/output error';
      this.#events.emit({ kind: 'disk-error', diskId, detail, noSpace, paused: true });
    }
  }

  /** After a lost connection: what events would have said. */
  async #resynchronize(): Promise<void> {
    const status = await readStatus(this.#engine);
    if (status.guestShutDown) await this.#endAs('guest-shutdown');
    else {
      this.#setState(status.state);
      if (status.status === 'io-error') await this.#reportFailedDisks();
      await this.lookForAgent();
    }
  }

  async #end(exit: EngineExit | undefined): Promise<void> {
    const reason = this.#ending ?? 'crashed';
    this.#state = 'stopped';
    if (reason !== 'suspended') {
      await Promise.all(this.#engine.identity.discardFiles.map((path) => rm(path, { force: true }).catch(() => {})));
    }
    await locksFreed(this.#engine.run, this.#spawner).catch(() => {});
    await removeRunFiles(this.#engine.run).catch(() => {});
    this.#onEnded();
    const detail = reason === 'crashed' ? describeExit(exit) : undefined;
    this.#events.emit({ kind: 'ended', reason, ...(detail ? { detail } : {}) });
  }
}

function describeExit(exit: EngineExit | undefined): string {
  if (exit?.signal) return `The engine was ended by ${exit.signal}.`;
  if (exit) return `The engine ended with code ${exit.code}.`;
  return 'The engine is gone.';
}

/** What `query-status` says of a machine (QEMU's run states). */
export async function readStatus(
  engine: Pick<Engine, 'execute'>,
): Promise<{ readonly status: string; readonly state: MachineState; readonly guestShutDown: boolean }> {
  const answer = await engine.execute('query-status');
  const status = isObject(answer) && typeof answer.status === 'string' ? answer.status : 'unknown';
  return { status, state: status === 'running' ? 'running' : 'paused', guestShutDown: status === 'shutdown' };
}

/** Whether the guest holds the agent's port open. */
export async function readAgentConnected(engine: Pick<Engine, 'execute'>): Promise<boolean> {
  const devices = await engine.execute('query-chardev');
  return (
    Array.isArray(devices) &&
    devices.some((device: unknown) => isObject(device) && device.label === 'agent' && device['frontend-open'] === true)
  );
}

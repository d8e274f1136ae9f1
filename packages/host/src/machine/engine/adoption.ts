import { dirname, join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import type { HostCore } from '../../host-core.ts';
import { findEnvironment } from '../../vapp/environment.ts';
import { isThere } from '../power/memory-image.ts';
import { runDirectoryOf } from '../power/power-on.ts';
import { type RuntimeDocument, saveRuntime } from '../registration/registration.ts';
import type { MachineWatch } from './machine-watch.ts';

/** Most engines that are looked for at a time. */
const atOnce = 16;
/** Milliseconds until engines that did not answer are looked for again. */
const againInterval = 10_000;

/**
 * Finds the engines of machines that ran when the last process ended. A machine whose engine is gone is powered off,
 * and says so by an event: what happened while nobody looked is not lost. Engines that do not answer are looked for
 * again and again, until the answer is called.
 */
export async function adoptMachines(
  core: HostCore,
  watch: MachineWatch,
  runtimes: ReadonlyMap<string, RuntimeDocument>,
): Promise<() => void> {
  const lost = new Map<string, string | undefined>();
  const running = [...core.machines.all()].filter((machine) => machine.powerState === 'poweredOn');
  for (let at = 0; at < running.length; at += atOnce) {
    await Promise.all(
      running.slice(at, at + atOnce).map(async ({ id, problem }) => {
        try {
          await adopt(core, watch, id, runtimes.get(id));
        } catch (error) {
          // One engine that hangs must not keep every other machine from its service.
          if (!(error instanceof HypervisorError)) throw error;
          lost.set(id, problem);
          core.machines.change(id, { problem: error.message });
          core.onDefect('adoption of an engine', error);
        }
      }),
    );
  }
  const timer = setInterval(() => {
    for (const [id, problem] of lost) {
      lost.delete(id);
      adopt(core, watch, id, runtimes.get(id)).then(
        () => core.machines.change(id, { problem }),
        // Still out of reach: it was told once.
        () => lost.set(id, problem),
      );
    }
  }, againInterval);
  timer.unref();
  return () => clearInterval(timer);
}

async function adopt(
  core: HostCore,
  watch: MachineWatch,
  id: string,
  runtime: RuntimeDocument | undefined,
): Promise<void> {
  const machine = core.machines.find(id);
  if (machine === undefined) return;
  const folder = dirname(machine.datastore.absolute(machine.vmxPath));
  const engine = await core.hypervisor.adopt({
    uuid: runtime?.uuid ?? machine.configuration.uuid,
    runDirectory: runDirectoryOf(core, id),
    lockPath: join(folder, '.hypo', 'vm.lck'),
  });
  if (engine !== undefined) {
    const { hasVApp } = machine.configuration;
    const environment = hasVApp ? await findEnvironment(machine.datastore, machine.vmxPath) : undefined;
    core.registry.commit((draft) => {
      core.machines.setEngine(id, engine);
      const bootTime = machine.bootTime ?? new Date(engine.startedAt).toISOString();
      core.machines.change(id, { bootTime, guestEnvironment: environment?.guestInfo?.text }, draft);
    });
    watch.follow(id, engine);
    core.resources.refresh();
    if (runtime?.starting) await saveRuntime(core, id, { powerState: 'poweredOn', bootTime: runtime.bootTime });
    return;
  }
  // Its start was never finished: it is as it was before, and the task that starts it goes on from there.
  if (runtime?.starting) {
    // Whoever starts it says when its memory is gone.
    const powerState = runtime.resuming === undefined ? 'poweredOff' : 'suspended';
    await saveRuntime(core, id, { powerState });
    core.machines.change(id, { powerState, bootTime: undefined });
    return;
  }
  const image = runtime?.suspending;
  if (image !== undefined && (await isThere(join(folder, image)))) {
    const suspendTime = new Date().toISOString();
    await saveRuntime(core, id, { powerState: 'suspended', suspendTime });
    core.registry.commit((draft) => {
      core.machines.change(id, { powerState: 'suspended', suspendTime, bootTime: undefined }, draft);
      core.events.post(draft, { type: 'VmSuspendedEvent', entity: machine.ref });
    });
    return;
  }
  await saveRuntime(core, id, { powerState: 'poweredOff' });
  core.registry.commit((draft) => {
    core.machines.change(id, { powerState: 'poweredOff', bootTime: undefined, cleanPowerOff: false }, draft);
    core.events.post(draft, {
      type: 'VmPoweredOffEvent',
      entity: machine.ref,
      message: `${machine.configuration.name} was found powered off: its engine ended while no management service ran.`,
    });
  });
}

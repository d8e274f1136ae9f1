import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import type { CpuPlace, EngineHardware } from './engine-hardware.ts';
import { unplug } from './unplug.ts';

const added = /^\/machine\/peripheral\/(cpu-[0-9-]+)$/;

/** Throws `unsupported-hardware` where a machine cannot come to have that many processors while it runs. */
export function checkCpus({ cpus }: Pick<EngineHardware, 'cpus'>, count: number): void {
  const present = cpus.filter(({ path }) => path !== undefined);
  if (count > cpus.length)
    throw qemuErrors.unsupported(`${count} CPUs: the machine was started with room for ${cpus.length}.`);
  const staying = present.filter(({ path }) => !added.test(path ?? '')).length;
  if (count < staying) throw qemuErrors.unsupported(`${count} CPUs: the ${staying} that it was started with stay.`);
}

export async function changeCpus(engine: Engine, { cpus }: Pick<EngineHardware, 'cpus'>, count: number): Promise<void> {
  const ordered = [...cpus].sort((a, b) => rank(a) - rank(b));
  const present = ordered.filter(({ path }) => path !== undefined);
  const free = ordered.filter(({ path }) => path === undefined);
  for (const { driver, place } of free.slice(0, Math.max(0, count - present.length))) {
    const id = `cpu-${Object.values(place).join('-')}`;
    try {
      await engine.execute('device_add', { ...place, driver, id });
    } catch (error) {
      throw qemuErrors.hotPlugFailed(`A CPU could not be added: ${messageOf(error)}`, error);
    }
  }
  const removable = present.flatMap(({ path }) => added.exec(path ?? '')?.[1] ?? []).reverse();
  for (const id of removable.slice(0, Math.max(0, present.length - count))) await unplug(engine, id, 'a CPU');
}

/** The order in which a cold start fills the places. */
function rank({ place }: CpuPlace): number {
  const [socket, core, thread] = ['socket-id', 'core-id', 'thread-id'].map((name) => Number(place[name] ?? 0));
  return (socket ?? 0) * 2 ** 20 + (core ?? 0) * 2 ** 10 + (thread ?? 0);
}

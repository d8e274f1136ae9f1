import { rm, writeFile } from 'node:fs/promises';
import type { Engine } from '../machine/engine.ts';
import { exists } from '../machine/run-files.ts';
import { isObject } from '../qmp/qmp-message.ts';

/** Stops the guest, and says so in the run directory first. False: it stood still before. */
export async function standStill(engine: Engine): Promise<boolean> {
  if (await exists(engine.run.pivoting)) return true;
  const status = await engine.execute('query-status');
  if (!isObject(status) || status.running !== true) return false;
  await writeFile(engine.run.pivoting, '', { mode: 0o600 });
  await engine.execute('stop');
  return true;
}

/** Lets a guest go on that `standStill` stopped, also one of an earlier process. */
export async function goOn(engine: Engine): Promise<void> {
  await engine.execute('cont');
  await rm(engine.run.pivoting, { force: true });
}

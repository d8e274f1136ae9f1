import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@hypostyle/vim';
import type { Daemon } from './daemon.ts';

/** What a request may leave behind. */
interface HostState {
  readonly files: readonly string[];
  readonly machines: readonly string[];
  readonly engines: readonly number[];
  readonly unfinishedTasks: readonly string[];
}

async function hostState(daemon: Daemon, client: Client): Promise<HostState> {
  const content = await client.content();
  const [folder] = await client.retrieve({ type: 'Folder', value: 'ha-folder-vm' }, ['childEntity']);
  const [tasks] = content.taskManager ? await client.retrieve(content.taskManager, ['recentTask']) : [];
  const recent = tasks?.values.recentTask ?? [];
  const infos = recent.length === 0 ? [] : await client.retrieve(recent, ['info']);
  return {
    files: (await readdir(daemon.datastore, { recursive: true })).sort(),
    machines: (folder?.values.childEntity ?? []).map(({ value }) => value),
    engines: (await daemon.engines()).map(({ pid }) => pid),
    unfinishedTasks: infos
      .map(({ values }) => values.info)
      .filter((info) => info?.state === 'queued' || info?.state === 'running')
      .map((info) => `${info?.descriptionId}: ${info?.state}`),
  };
}

/** Runs something, and asserts that files, machines, engines and tasks are then what they were, at once or soon after. */
export async function leavesNothing<Result>(
  daemon: Daemon,
  client: Client,
  run: () => Promise<Result>,
): Promise<Result> {
  const before = await hostState(daemon, client);
  assert.deepEqual(before.unfinishedTasks, []);
  const result = await run();
  const deadline = Date.now() + 5_000;
  for (;;) {
    const now = await hostState(daemon, client);
    try {
      assert.deepEqual(now, before);
      return result;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** Memory of the host's process, MiB: now, and the most that it ever was. */
export async function memoryOf(daemon: Daemon): Promise<{ readonly now: number; readonly most: number }> {
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  const read = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { now: read('VmRSS'), most: read('VmHWM') };
}

import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  createClient,
  data,
  follow,
  type ManagedObjectReference,
  type TaskInfo,
  unboxed,
  VimFault,
  type VirtualMachineConfigInfo,
} from '@hypostyle/vim';
import type { CenterProcess } from './center-process.ts';
import type { Latencies } from './latencies.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Task = ManagedObjectReference<'Task'>;

/** What all clients of a soak share. */
export interface Soak {
  readonly center: CenterProcess;
  readonly reads: Latencies;
  readonly writes: Latencies;
  readonly uploads: Latencies;
  /** Wrong answers, each in a sentence. */
  readonly wrong: string[];
  /** True from the kill until the daemon answers again: what fails then says nothing. */
  broken: () => boolean;
  /** Counts the kills: a client whose call failed across one signs in anew. */
  lives: () => number;
  readonly stop: AbortSignal;
  readonly machines: readonly Machine[];
  readonly places: {
    readonly folder: ManagedObjectReference<'Folder'>;
    readonly pool: ManagedObjectReference<'ResourcePool'>;
  };
  readonly datastore: ManagedObjectReference<'Datastore'>;
}

/** Runs a client until the soak stops: signs in, works, and signs in anew after the daemon was killed. */
export async function run(soak: Soak, name: string, work: (client: Client) => Promise<void>): Promise<void> {
  while (!soak.stop.aborted) {
    const life = soak.lives();
    const { url, username, password } = soak.center.ready;
    const userAgent = `soak-${name.split(' ')[0]}`;
    const client = createClient({ url: `${url}/sdk`, tls: { insecure: true }, userAgent });
    try {
      await signIn(client, username, password, soak.stop);
      while (!soak.stop.aborted) await work(client);
    } catch (error) {
      if (!soak.stop.aborted && soak.lives() === life && !soak.broken()) {
        soak.wrong.push(`${name}: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`);
      }
      await sleep(200);
    } finally {
      await client[Symbol.asyncDispose]();
    }
  }
}

/** A server checks so many passwords at a time, and asks others to come again. */
async function signIn(client: Client, username: string, password: string, stop: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await client.signIn(username, password);
      return;
    } catch (error) {
      if (stop.aborted || !(error instanceof VimFault) || !/try again/.test(error.message)) throw error;
      await sleep(100 + Math.random() * 400);
    }
  }
}

async function timed<R>(into: Latencies, work: () => Promise<R>): Promise<R> {
  const begun = performance.now();
  const result = await work();
  into.add(performance.now() - begun);
  return result;
}

function any<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

/** Reads a random machine: its parts must fit together. */
export async function reader(soak: Soak, client: Client): Promise<void> {
  const machine = any(soak.machines);
  const [found] = await timed(soak.reads, () => client.retrieve([machine], ['name', 'config', 'summary', 'runtime']));
  const config = found?.values.config as VirtualMachineConfigInfo | undefined;
  const { name, summary, runtime } = found?.values ?? {};
  if (config === undefined || summary === undefined || runtime === undefined)
    soak.wrong.push(`${machine.value} is not whole`);
  else if (config.name !== name || summary.config.name !== name || summary.config.annotation !== config.annotation)
    soak.wrong.push(`${machine.value} says two things: ${name}, ${config.name}, ${summary.config.name}`);
  await sleep(100 + Math.random() * 200, undefined, { signal: soak.stop }).catch(() => {});
}

/** Follows every machine for a while: it is told of all, nothing goes back, and a fresh look agrees. */
export async function follower(soak: Soak, client: Client): Promise<void> {
  const stop = AbortSignal.any([soak.stop, AbortSignal.timeout(15_000)]);
  const seen = new Map<string, number>();
  const filter = {
    objectSet: soak.machines.map((obj) => ({ obj })),
    propSet: [{ type: 'VirtualMachine', pathSet: ['config.annotation'] }],
  };
  try {
    for await (const { filterSet = [] } of follow(client, filter, { signal: stop, maxWaitSeconds: 5 })) {
      for (const { objectSet = [] } of filterSet) {
        for (const { obj, changeSet = [] } of objectSet) {
          for (const { name, val } of changeSet) {
            if (name === 'config.annotation' && val !== undefined) seen.set(obj.value, Number(unboxed(val)));
          }
        }
      }
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  if (soak.stop.aborted || seen.size === 0) return;
  if (seen.size !== soak.machines.length) soak.wrong.push(`a follower was told of ${seen.size} machines`);
  for (const { ref, values } of await client.retrieve(soak.machines, ['config.annotation'])) {
    const now = Number(values['config.annotation']);
    const told = seen.get(ref.value) ?? 0;
    // A write a second at most, and the wait was just cut short.
    if (now < told || now > told + 3) soak.wrong.push(`a follower holds ${told} for ${ref.value}, which has ${now}`);
  }
}

/** Writes to a machine of its own: what a task that is over has done is there at once, and stays. */
export function writer(soak: Soak, machine: Machine) {
  let written = 0;
  let pending: { readonly task: Task; readonly value: number; readonly life: number } | undefined;
  return async (client: Client): Promise<void> => {
    if (pending !== undefined) {
      // The daemon was killed before the end was seen: the task must be there, and tell the truth.
      const { task, value } = pending;
      const info = await endOf(client, task);
      if (info === undefined) soak.wrong.push(`the task ${task.value} is lost`);
      const now = await annotation(client, machine);
      if (info?.state === 'success' && now !== value)
        soak.wrong.push(`${task.value} says success, yet ${now} is there`);
      if (now !== value && now !== written)
        soak.wrong.push(`${machine.value} has ${now}, neither ${value} nor ${written}`);
      written = now;
      pending = undefined;
    }
    const value = written + 1;
    await timed(soak.writes, async () => {
      const spec = data('VirtualMachineConfigSpec', { annotation: String(value) });
      const task = await client.call(machine, 'ReconfigVM_Task', { spec });
      pending = { task, value, life: soak.lives() };
      await client.waitForTask(task);
    });
    const now = await annotation(client, machine);
    if (now !== value) soak.wrong.push(`${machine.value} was given ${value} and has ${now}`);
    written = value;
    pending = undefined;
    await sleep(300 + Math.random() * 400, undefined, { signal: soak.stop }).catch(() => {});
  };
}

async function annotation(client: Client, machine: Machine): Promise<number> {
  const [found] = await client.retrieve([machine], ['config.annotation']);
  return Number(found?.values['config.annotation'] ?? 0);
}

async function endOf(client: Client, task: Task): Promise<TaskInfo | undefined> {
  try {
    await client.waitForTask(task).catch((error: Error) => {
      if (error.message.includes('already been deleted')) throw error;
    });
    const [found] = await client.retrieve([task], ['info']);
    return found?.values.info;
  } catch {
    return undefined;
  }
}

/** Creates machines and destroys them: each is there after the one and gone after the other. */
export function maker(soak: Soak, number: number) {
  let count = 0;
  return async (client: Client): Promise<void> => {
    count += 1;
    const name = `made-${number}-${count}-${soak.lives()}`;
    const config = data('VirtualMachineConfigSpec', {
      name,
      guestId: 'otherLinux64Guest',
      numCPUs: 1,
      memoryMB: 32,
      files: data('VirtualMachineFileInfo', { vmPathName: '[datastore1]' }),
    });
    await timed(soak.writes, async () => {
      const task = await client.call(soak.places.folder, 'CreateVM_Task', { config, pool: soak.places.pool });
      const machine = (await client.waitForTask(task)) as Machine;
      const [found] = await client.retrieve([machine], ['name', 'parent']);
      if (found?.values.name !== name) soak.wrong.push(`${machine.value} should be ${name}`);
      await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
      const gone = await client.retrieve([machine], ['name']).then(
        () => false,
        () => true,
      );
      if (!gone) soak.wrong.push(`${machine.value} was destroyed and is there`);
    });
    await sleep(1_000 + Math.random() * 1_000, undefined, { signal: soak.stop }).catch(() => {});
  };
}

/** Uploads a file, reads it back, compares, and deletes it. */
export function uploader(soak: Soak, number: number) {
  return async (): Promise<void> => {
    const bytes = randomBytes(1 << (16 + Math.floor(Math.random() * 6)));
    const path = `/folder/soak-${number}.bin?dcPath=Datacenter&dsName=datastore1`;
    await timed(soak.uploads, async () => {
      const put = await exchange(soak, 'PUT', path, bytes);
      if (put.status !== 201 && put.status !== 200) throw new Error(`PUT answered ${put.status}`);
      const got = await exchange(soak, 'GET', path);
      if (sha256(got.body) !== sha256(bytes)) soak.wrong.push(`${path} came back as other bytes`);
      await exchange(soak, 'DELETE', path);
    });
    await sleep(500 + Math.random() * 1_000, undefined, { signal: soak.stop }).catch(() => {});
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Asks again where the server is busy with the passwords of others. */
async function exchange(soak: Soak, method: string, path: string, body?: Uint8Array) {
  for (;;) {
    const answer = await exchangeOnce(soak, method, path, body);
    if (answer.status !== 503 || soak.stop.aborted) return answer;
    await sleep(100 + Math.random() * 400);
  }
}

function exchangeOnce(
  soak: Soak,
  method: string,
  path: string,
  body?: Uint8Array,
): Promise<{ status: number; body: Buffer }> {
  const { url, username, password } = soak.center.ready;
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      ...(body === undefined ? {} : { 'content-length': String(body.length) }),
    };
    const outgoing = request(`${url}${path}`, { method, headers, rejectUnauthorized: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
      answer.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

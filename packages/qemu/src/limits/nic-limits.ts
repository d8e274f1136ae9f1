import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NicHardware } from '@hypostyle/contracts';
import { messageOf } from '../errors.ts';
import { deviceId } from '../machine/device.ts';
import type { Engine } from '../machine/engine.ts';
import type { RunDirectory } from '../machine/run-directory.ts';
import type { Spawner } from '../process/spawner.ts';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { connectUnix } from '../qmp/unix-connection.ts';
import { parseShape, type Shape } from './shaper-protocol.ts';

type ShapedEngine = Pick<Engine, 'execute' | 'run'>;

/** Both ways of an adapter, by the queue of the engine's filters: `rx` is what the guest sends, `tx` what it gets. */
const directions = ['rx', 'tx'] as const;
const ends = ['out', 'in'] as const;
const answerTimeoutMs = 15_000;
/** Before a shaper that has ended is started again. */
const restartMs = 200;

/** A limited adapter, and how its parts are called in the engine. */
interface LimitedNic {
  readonly name: string;
  readonly slot: number;
  readonly bitsPerSecond: number;
}

/**
 * Grants adapters the bits a second that the hardware says, each way: their frames take a turn through a shaper, a
 * process of the machine's own. Made again, the call changes nothing. Adapters without a limit go past it.
 */
export async function limitNics(engine: ShapedEngine, spawner: Spawner, nics: readonly NicHardware[]): Promise<void> {
  const wanted = nics.flatMap((nic, index): LimitedNic[] => {
    const { bitsPerSecond } = nic;
    if (bitsPerSecond === undefined || nic.network.kind === 'none') return [];
    return [{ name: deviceId.nic(nic.id), slot: nic.slot ?? index, bitsPerSecond }];
  });
  const [filters, devices] = await Promise.all([
    names(engine.execute('qom-list', { path: '/objects' }), 'name'),
    names(engine.execute('query-chardev'), 'label'),
  ]);
  const there = new Set([...devices].flatMap((label) => /^shaped-(.+)-[rt]x-(?:out|in)$/.exec(label)?.[1] ?? []));
  if (wanted.length === 0 && there.size === 0) return;
  const gone = [...there].filter((name) => !wanted.some((nic) => nic.name === name));
  for (const name of gone) await release(engine, name);
  const lanesOf = (some: readonly LimitedNic[]) =>
    some.flatMap(({ slot, bitsPerSecond }) =>
      directions.map((direction) => ({
        outPath: engine.run.shapedFrames(slot, direction, 'out'),
        inPath: engine.run.shapedFrames(slot, direction, 'in'),
        bitsPerSecond,
      })),
    );
  const lanes = lanesOf(wanted);
  // Before others come to the same places.
  if (gone.length > 0) {
    const staying = lanesOf(wanted.filter(({ name }) => there.has(name)));
    (await tellShaper(engine.run, spawner, { lanes: staying }))?.destroy();
  }
  for (const nic of wanted)
    for (const direction of directions)
      for (const end of ends)
        if (!devices.has(socketName(nic.name, direction, end)))
          await engine.execute('chardev-add', socketOf(engine.run, nic, direction, end));
  await keepShape(engine.run, { lanes });
  (await tellShaper(engine.run, spawner, { lanes }))?.destroy();
  for (const { name } of wanted) {
    for (const direction of directions) {
      const id = filterName(name, direction);
      if (filters.has(id)) continue;
      await engine.execute('object-add', {
        'qom-type': 'filter-redirector',
        id,
        netdev: `${name}-net`,
        queue: direction,
        outdev: socketName(name, direction, 'out'),
        indev: socketName(name, direction, 'in'),
      });
    }
  }
}

/** Has an engine's shaper live as long as there is something to be shaped, whoever ends it. */
export class ShaperWatch {
  readonly #engine: Pick<Engine, 'run' | 'isGone'>;
  readonly #spawner: Spawner;
  #socket: Socket | undefined;
  #isClosed = false;
  #work: Promise<void> = Promise.resolve();

  constructor(engine: Pick<Engine, 'run' | 'isGone'>, spawner: Spawner) {
    this.#engine = engine;
    this.#spawner = spawner;
  }

  /** Starts what is missing, and looks after it from now on. Never rejects. */
  look(): Promise<void> {
    this.#work = this.#work.then(() => this.#look()).catch(() => this.#again());
    return this.#work;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  async #look(): Promise<void> {
    if (this.#isClosed || this.#engine.isGone || this.#socket !== undefined) return;
    const shape = await readShape(this.#engine.run);
    if (shape === undefined || shape.lanes.length === 0) return;
    const socket = await tellShaper(this.#engine.run, this.#spawner, shape);
    if (socket === undefined) return;
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    // A limit alone keeps nobody's process.
    socket.unref();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#socket = undefined;
      void this.#again();
    });
  }

  async #again(): Promise<void> {
    await sleep(restartMs, undefined, { ref: false });
    if (!this.#isClosed && !this.#engine.isGone) void this.look();
  }
}

async function release(engine: ShapedEngine, name: string): Promise<void> {
  for (const direction of directions) {
    await engine.execute('object-del', { id: filterName(name, direction) }).catch(() => {});
    for (const end of ends)
      await engine.execute('chardev-remove', { id: socketName(name, direction, end) }).catch(() => {});
  }
}

const filterName = (name: string, direction: string) => `shape-${name}-${direction}`;
const socketName = (name: string, direction: string, end: string) => `shaped-${name}-${direction}-${end}`;

function socketOf(
  run: RunDirectory,
  { name, slot }: LimitedNic,
  direction: (typeof directions)[number],
  end: (typeof ends)[number],
): object {
  const addr = { type: 'unix', data: { path: run.shapedFrames(slot, direction, end) } };
  const backend = { type: 'socket', data: { addr, server: true, wait: false } };
  return { id: socketName(name, direction, end), backend };
}

/** Tells the machine's shaper, started where there is none, what it is to do; answers the connection. */
async function tellShaper(run: RunDirectory, spawner: Spawner, shape: Shape): Promise<Socket | undefined> {
  try {
    return await tellOnce(run, spawner, shape);
  } catch {
    // One that was just about to end.
    return await tellOnce(run, spawner, shape);
  }
}

async function tellOnce(run: RunDirectory, spawner: Spawner, shape: Shape): Promise<Socket | undefined> {
  let socket = await connectUnix({ path: run.shaper, deadline: 0 }).catch(() => undefined);
  if (socket === undefined) {
    if (shape.lanes.length === 0) return undefined;
    await rm(run.shaper, { force: true });
    await spawner.shape({ socketPath: run.shaper });
    socket = await connectUnix({ path: run.shaper, deadline: performance.now() + answerTimeoutMs });
  }
  try {
    socket.write(`${JSON.stringify(shape)}\n`);
    const answer = await firstLine(socket);
    if (!isObject(answer) || answer.done !== true)
      throw new Error(`The shaper says: ${isObject(answer) ? String(answer.error) : 'nothing'}`);
    return socket;
  } catch (error) {
    socket.destroy();
    // It ends when it has nothing to do.
    if (shape.lanes.length === 0) return undefined;
    throw new Error(`Adapters could not be limited: ${messageOf(error)}`, { cause: error });
  }
}

function firstLine(socket: Socket): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const parser = new JsonLineParser({ maxBytes: 1 << 16 });
    const timer = setTimeout(() => done(() => reject(new Error('it does not answer'))), answerTimeoutMs);
    const onData = (bytes: Buffer) => {
      const [line] = parser.push(bytes);
      if (line !== undefined) done(() => resolve(line));
    };
    const onClose = () => done(() => reject(new Error('it has ended')));
    function done(then: () => void) {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose).off('error', onClose);
      then();
    }
    socket.on('data', onData).on('close', onClose).on('error', onClose);
  });
}

async function keepShape({ shape }: RunDirectory, value: Shape): Promise<void> {
  if (value.lanes.length === 0) return rm(shape, { force: true });
  await writeFile(`${shape}.new`, JSON.stringify(value), { mode: 0o600 });
  await rename(`${shape}.new`, shape);
}

async function readShape({ shape }: RunDirectory): Promise<Shape | undefined> {
  try {
    return parseShape(JSON.parse(await readFile(shape, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function names(list: Promise<unknown>, member: string): Promise<Set<string>> {
  const found = await list;
  return new Set((Array.isArray(found) ? found : []).filter(isObject).map((one) => String(one[member])));
}

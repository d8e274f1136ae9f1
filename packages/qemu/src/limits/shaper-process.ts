/**
 * A small process beside an engine: frames of adapters with a limit go through it. It has a session of its own, so that
 * a limited guest keeps its network when the daemon is killed. Its argument is the socket on which it is told what to do,
 * whole each time. Ends with its engine, and when there is nothing to be done any more.
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { FrameLane } from './frame-lane.ts';
import { parseShape, type ShapedLane } from './shaper-protocol.ts';

/** A shaper that nobody tells anything in this time ends. */
const idleMs = 30_000;
const maxRequestBytes = 1 << 20;
/** What an engine that does not read may leave here, of one lane. */
const mostUnreadBytes = 4 << 20;

interface OpenLane {
  readonly lane: FrameLane;
  close(): void;
}

const lanes = new Map<string, OpenLane>();
let idle: NodeJS.Timeout | undefined;

function leaveWhenIdle(): void {
  clearTimeout(idle);
  if (lanes.size === 0) idle = setTimeout(() => process.exit(0), idleMs);
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

async function openLane({ outPath, inPath, bitsPerSecond }: ShapedLane): Promise<void> {
  const into = await connect(inPath);
  const from = await connect(outPath).catch((error: unknown) => {
    into.destroy();
    throw error;
  });
  const lane = new FrameLane({
    bitsPerSecond,
    send: (frame) => {
      if (into.writableLength < mostUnreadBytes) into.write(frame);
    },
    now: () => performance.now(),
    wake: (afterMs, run) => void setTimeout(run, afterMs),
  });
  const close = () => {
    from.destroy();
    into.destroy();
    if (lanes.get(outPath)?.lane !== lane) return;
    lanes.delete(outPath);
    // Its engine has ended, or has let go of the adapter.
    if (lanes.size === 0) process.exit(0);
  };
  for (const socket of [from, into]) socket.on('error', close).on('close', close);
  into.resume();
  from.on('data', (bytes: Buffer) => {
    try {
      lane.push(bytes);
    } catch {
      close();
    }
  });
  lanes.set(outPath, { lane, close });
}

async function apply(wanted: readonly ShapedLane[]): Promise<void> {
  for (const one of wanted) {
    const known = lanes.get(one.outPath);
    if (known === undefined) await openLane(one);
    else known.lane.bitsPerSecond = one.bitsPerSecond;
  }
  const kept = new Set(wanted.map(({ outPath }) => outPath));
  for (const [path, { close }] of [...lanes]) if (!kept.has(path)) close();
  leaveWhenIdle();
}

/** What is asked comes one after another. */
let last: Promise<unknown> = Promise.resolve();

const server = createServer((socket) => {
  const parser = new JsonLineParser({ maxBytes: maxRequestBytes });
  const reply = (message: object) => void (socket.writable && socket.write(`${JSON.stringify(message)}\n`));
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    for (const value of parser.push(bytes)) {
      const shape = parseShape(value);
      last = last.then(async () => {
        if (shape === undefined) return reply({ error: 'no lanes' });
        await apply(shape.lanes).then(
          () => reply({ done: true }),
          (error: Error) => reply({ error: error.message }),
        );
      });
    }
  });
});
server.listen(process.argv[2] ?? '', () => {
  process.stdout.write('listening\n');
  leaveWhenIdle();
});
process.stdout.on('error', () => {});
process.on('SIGINT', () => {});

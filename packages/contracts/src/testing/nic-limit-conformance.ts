import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import type { MachineHardware } from '../hardware.ts';
import type { RunningMachine } from '../hypervisor.ts';
import type { GuestSession } from './conformance-guest.ts';

/** What goes each way, and how fast it may. */
const bytes = 384 << 10;
const bitsPerSecond = 6_000_000;
/** Least time that it takes at that rate, milliseconds; a little less, for what may go at once. */
const leastMs = ((bytes - (48 << 10)) * 8_000) / bitsPerSecond;

/** Adapters keep to what they are granted, each way, while a guest runs that has one adapter; and without a limit again. */
export async function checkNicLimits(
  session: GuestSession,
  machine: RunningMachine,
  hardware: MachineHardware,
): Promise<void> {
  const limited = { ...hardware, nics: hardware.nics.map((nic) => ({ ...nic, bitsPerSecond })) };
  await machine.changeHardware(limited);
  await machine.changeHardware(limited);
  assert.ok((await received(session)) >= leastMs, 'what the guest gets comes no faster than it may');
  assert.ok((await sent(session)) >= leastMs, 'what the guest sends goes no faster than it may');
  await machine.changeHardware(hardware);
  await received(session);
}

/** Milliseconds that a guest takes to get all of the bytes. */
export async function received(session: GuestSession): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(Buffer.alloc(bytes, 7));
  });
  return during(server, async (port) => {
    const begun = performance.now();
    assert.equal(await session.receive(port), bytes);
    return performance.now() - begun;
  });
}

/** Milliseconds that they take from a guest to its host. */
async function sent(session: GuestSession): Promise<number> {
  const all = Promise.withResolvers<void>();
  let left = bytes;
  const server = createServer((socket) => {
    socket.on('error', all.reject);
    socket.on('data', (part: Buffer) => {
      left -= part.length;
      if (left <= 0) all.resolve();
    });
    socket.on('end', () => (left <= 0 ? socket.end() : all.reject(new Error(`${left} bytes did not come`))));
  });
  return during(server, async (port) => {
    const begun = performance.now();
    await Promise.all([session.send(port, bytes), all.promise]);
    return performance.now() - begun;
  });
}

async function during<T>(server: Server, use: (port: number) => Promise<T>): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  try {
    return await use(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    server.close();
  }
}

/**
 * Brings up the demo: builds the appliance, starts the daemon, deploys, powers on, and waits for the page.
 *
 * What is there already is found again. Called by `npm start`, after the set-up.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@hypostyle/vim';
import { buildAppliance } from '../appliance/build.ts';
import { type DemoMachine, demoName, findDemo, home, hypo, type RunningDaemon, runningDaemon, signIn } from './demo.ts';

const started = Date.now();
const say = (line: string) => console.log(line);

async function main(): Promise<void> {
  say('Building the demo appliance (kept from the last time when nothing changed) …');
  const appliance = await buildAppliance({ log: say });
  const daemon = await startedDaemon();
  const client = await signIn(daemon);
  try {
    const demo = await bringUp(client, appliance.ova);
    const page = `http://127.0.0.1:${demo.port}/`;
    const title = await waitForPage(page);
    await report(client, daemon, page, title, demo);
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

/** The daemon of the home, started where none runs. One that runs as a host alone stays that, and is told. */
async function startedDaemon(): Promise<RunningDaemon> {
  const running = await runningDaemon();
  if (running === undefined) await hypo('up', '--detach', '--home', home.directory);
  const daemon = running ?? (await runningDaemon());
  if (daemon === undefined) throw new Error(`the daemon does not answer; its log is ${home.logFile}`);
  return daemon;
}

async function bringUp(client: Client, ova: string): Promise<DemoMachine> {
  const found = await findDemo(client);
  if (found === undefined) {
    const port = await freePort(8080);
    await hypo(
      ...['deploy', ova, '--home', home.directory, '--name', demoName, '--forward', `${port}:80`],
      ...['--property', 'title=Hypostyle runs here', '--power-on', '--wait-ip'],
    );
  } else if (found.powerState !== 'poweredOn') {
    say(`Found ${demoName}, powering it on …`);
    await client.waitForTask(await client.call(found.ref, 'PowerOnVM_Task', {}));
  } else say(`Found ${demoName} running.`);
  for (let round = 0; round < 240; round += 1) {
    const demo = await findDemo(client);
    if (demo?.address !== undefined) return demo;
    await sleep(500);
  }
  throw new Error(`${demoName} has no address after two minutes; look with: npx hypo console ${demoName}`);
}

/** The first port from `first` on that nobody listens at. */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + 100; port += 1) {
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error(`no port from ${first} to ${first + 99} is free`);
}

async function waitForPage(page: string): Promise<string> {
  let last: unknown;
  for (let round = 0; round < 60; round += 1) {
    try {
      const text = await (await fetch(page, { signal: AbortSignal.timeout(5_000) })).text();
      return /<title>([^<]*)</i.exec(text)?.[1] ?? 'a page';
    } catch (error) {
      last = error;
      await sleep(500);
    }
  }
  throw new Error(`the demo's page ${page} does not answer: ${last instanceof Error ? last.message : String(last)}`);
}

async function report(
  client: Client,
  { url, userName, hostUrl }: RunningDaemon,
  page: string,
  title: string,
  demo: DemoMachine,
): Promise<void> {
  const isCenter = (await client.content()).about.apiType === 'VirtualCenter';
  const kind = isCenter ? 'a center; REST at /api' : 'a host by itself; npm stop && npm start makes it a center';
  const own =
    hostUrl === undefined
      ? ''
      : `\n  Host       ${hostUrl}/sdk  (this machine's own endpoint: root, the same password)`;
  say(`
Hypostyle runs (${Math.round((Date.now() - started) / 1000)} s).

  Endpoint   ${url}/sdk  (${kind})${own}
  Sign in    ${userName}, password in ${home.passwordFile}
  Machine    ${demoName}, ${demo.address} in its own network
  Its page   ${page}  (${title})

Try next:
  npx hypo ls                              what is here
  npx hypo console ${demoName}          its serial console; Ctrl-] leaves
  npx hypo deploy FILE.ova --power-on --wait-ip
  npx hypo host join HOST:PORT             take in another machine, where 'npx hypo host' runs
  npx hypo cluster create east             an order of your own: also folder, pool, tag, permission
  npx hypo help

npm stop ends the daemon; machines run on. npm run demo:clean removes the demo.`);
}

try {
  await main();
} catch (error) {
  console.error(`npm start: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/**
 * How fast the encodings are: `node bench/codec.ts [machines]`.
 *
 * Encoding is measured in this process; requests over HTTPS against a server in a process of its own, whose CPU time is
 * what counts.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { apiVersion, newestVersion } from '../packages/vim/src/codec/api-version.ts';
import { ChunkedText } from '../packages/vim/src/codec/chunked-text.ts';
import { JsonEncoder } from '../packages/vim/src/codec/json-encoder.ts';
import { ManagementEndpoint } from '../packages/vim/src/codec/management-endpoint.ts';
import { SoapEncoder } from '../packages/vim/src/codec/soap-encoder.ts';
import { smallCenter } from '../packages/vim/src/codec/testing/small-center.ts';
import { syntheticMachine } from '../packages/vim/src/codec/testing/synthetic-machine.ts';
import { serveForTest } from '../packages/vim/src/codec/testing/test-server.ts';
import { VersionPlans } from '../packages/vim/src/codec/type-plan.ts';
import { WireTypes } from '../packages/vim/src/codec/wire-types.ts';
import { loadSchema } from '../packages/vim/src/schema/schema.ts';

const machines = Number(process.argv[2] ?? 5000);

if (process.send === undefined) await measure();
else await serve();

async function serve(): Promise<void> {
  const server = await serveForTest(new ManagementEndpoint(smallCenter(machines)));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  process.on('message', (message) => {
    if (message === 'begin') {
      delay.reset();
      delay.enable();
    }
    const { user, system } = process.cpuUsage();
    process.send?.({ cpu: user + system, stall: delay.max / 1e6, memory: process.memoryUsage.rss() / 1e6 });
  });
  process.send?.({ port: server.port });
}

async function measure(): Promise<void> {
  encodeInMemory();
  const child = fork(import.meta.filename, [String(machines)]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ask = async (message: string) => {
    const reply = once(child, 'message');
    child.send(message);
    return ((await reply) as [{ cpu: number; stall: number; memory: number }])[0];
  };
  const agent = new Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });
  const call = (content: string, cookie = '') => post(agent, port, content, cookie);
  const [, cookie = ''] = await call(
    '<Login><_this type="SessionManager">SessionManager</_this><userName>root</userName><password>secret</password></Login>',
  );
  const time = '<CurrentTime><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';
  const one = retrieve('<objectSet><obj type="VirtualMachine">vm-1</obj></objectSet>', ['name']);
  for (const [name, content] of [
    ['CurrentTime', time],
    ['RetrievePropertiesEx of one name', one],
  ] as const) {
    await load(() => call(content, cookie), 3000);
    const begun = await ask('begin');
    const count = 10_000;
    const from = performance.now();
    await load(() => call(content, cookie), count);
    const elapsed = performance.now() - from;
    const cpu = ((await ask('end')).cpu - begun.cpu) / count;
    print(
      name,
      `${cpu.toFixed(1)} µs CPU, ${Math.round(1e6 / cpu)}/s a core (${Math.round((count / elapsed) * 1000)}/s with this client)`,
    );
  }
  const all = Array.from(
    { length: machines },
    (_, i) => `<objectSet><obj type="VirtualMachine">vm-${i + 1}</obj></objectSet>`,
  );
  const wide = retrieve(all.join(''), ['name', 'config', 'summary', 'runtime', 'datastore']);
  await call(wide, cookie);
  const begun = await ask('begin');
  const [size] = await call(wide, cookie);
  const ended = await ask('end');
  const cpu = (ended.cpu - begun.cpu) / machines;
  print(
    `${machines} machines over HTTPS`,
    `${cpu.toFixed(1)} µs CPU a machine of ${(size / machines / 1024).toFixed(1)} KB, longest stall ${ended.stall.toFixed(1)} ms, memory +${(ended.memory - begun.memory).toFixed(0)} MB`,
  );
  agent.destroy();
  child.disconnect();
  child.kill();
}

function encodeInMemory(): void {
  const types = new WireTypes(loadSchema());
  const content = Array.from({ length: 500 }, (_, i) => {
    const values = Object.entries(syntheticMachine(i)).map(([name, val]) => ({
      name,
      val: Array.isArray(val) ? { _typeName: 'ArrayOfManagedObjectReference', _value: val } : val,
    }));
    return { obj: { type: 'VirtualMachine', value: `vm-${i}` }, propSet: values };
  });
  const type = { name: 'ObjectContent', array: true };
  for (const version of [newestVersion, apiVersion('6.7')]) {
    const soap = new SoapEncoder(new VersionPlans(types, version));
    const json = new JsonEncoder(new VersionPlans(types, version));
    timeEncoding(`SOAP ${version.name}`, (output) => soap.stream('returnval', type, content, output));
    timeEncoding(`JSON ${version.name}`, (output) => json.stream(type, content, output));
  }
}

function timeEncoding(name: string, steps: (output: ChunkedText) => Generator<void, void, void>): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round += 1) {
    const begun = performance.now();
    const output = new ChunkedText();
    for (const _ of steps(output)) if (output.ready) output.take();
    output.take();
    best = Math.min(best, performance.now() - begun);
  }
  print(`encode, ${name}`, `${((best * 1000) / 500).toFixed(1)} µs a machine`);
}

async function load(call: () => Promise<unknown>, count: number): Promise<void> {
  let left = count;
  const loop = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: 16 }, loop));
}

function post(
  agent: Agent,
  port: number,
  content: string,
  cookie: string,
): Promise<[size: number, cookie: string | undefined]> {
  const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${content}</s:Body></s:Envelope>`;
  const headers = { soapaction: '"urn:vim25/8.0.3.0"', 'content-length': Buffer.byteLength(body), cookie };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: '127.0.0.1', port, path: '/sdk', method: 'POST', headers }, (response) => {
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve([size, response.headers['set-cookie']?.[0]?.split(';')[0]]);
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function retrieve(objects: string, paths: readonly string[]): string {
  const pathSet = paths.map((path) => `<pathSet>${path}</pathSet>`).join('');
  return (
    '<RetrievePropertiesEx><_this type="PropertyCollector">propertyCollector</_this>' +
    `<specSet><propSet><type>VirtualMachine</type>${pathSet}</propSet>${objects}</specSet><options/></RetrievePropertiesEx>`
  );
}

function print(name: string, figure: string): void {
  console.log(`${name.padEnd(40)} ${figure}`);
}

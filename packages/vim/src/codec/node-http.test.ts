import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { test } from 'node:test';
import { ManagementEndpoint } from './management-endpoint.ts';
import { envelope } from './testing/exchange.ts';
import { smallCenter } from './testing/small-center.ts';
import { serveForTest } from './testing/test-server.ts';

const login =
  '<Login><_this type="SessionManager">SessionManager</_this><userName>root</userName><password>secret</password></Login>';
const content =
  '<RetrieveServiceContent><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>';

function post(port: number, agent: Agent, body: string, headers: Readonly<Record<string, string>> = {}) {
  const sent = request({ host: '127.0.0.1', port, agent, path: '/sdk', method: 'POST', headers });
  sent.end(body);
  return sent;
}

async function answered(sent: ReturnType<typeof request>) {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, cookie: response.headers['set-cookie']?.[0] ?? '', text };
}

test('a request over the limit is a fault, and its connection serves the next one', async () => {
  const center = smallCenter(0);
  await using server = await serveForTest(new ManagementEndpoint({ ...center, soapBodyLimit: 200_000 }));
  const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  const large = await answered(post(server.port, agent, envelope(`<!--${'x'.repeat(1_000_000)}-->${content}`)));
  assert.equal(large.status, 500);
  assert.match(large.text, /too large/);
  const next = post(server.port, agent, envelope(content));
  assert.equal((await answered(next)).status, 200);
  assert.equal(next.reusedSocket, true);
  agent.destroy();
  assert.deepEqual(center.defects, []);
});

test('a client that goes away, while sending or while reading, costs nobody anything', async () => {
  const center = smallCenter(300);
  await using server = await serveForTest(new ManagementEndpoint(center));
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const { cookie } = await answered(post(server.port, agent, envelope(login)));
  const sending = request({ host: '127.0.0.1', port: server.port, agent, path: '/sdk', method: 'POST' });
  sending.on('error', () => {});
  sending.write(envelope(content).slice(0, 50).padEnd(100_000));
  await once(sending, 'socket');
  setTimeout(() => sending.destroy(), 20);
  await new Promise((resolve) => void sending.on('close', resolve));
  const objects = Array.from(
    { length: 3000 },
    (_, i) => `<objectSet><obj type="VirtualMachine">vm-${(i % 300) + 1}</obj></objectSet>`,
  );
  const wide =
    '<RetrievePropertiesEx><_this type="PropertyCollector">propertyCollector</_this><specSet><propSet><type>VirtualMachine</type>' +
    `<pathSet>config</pathSet></propSet>${objects.join('')}</specSet><options/></RetrievePropertiesEx>`;
  const reading = post(server.port, agent, envelope(wide), { cookie });
  reading.on('error', () => {});
  const [response] = (await once(reading, 'response')) as [IncomingMessage];
  await once(response, 'data');
  response.on('error', () => {});
  response.destroy();
  assert.equal((await answered(post(server.port, agent, envelope(content)))).status, 200);
  agent.destroy();
  assert.deepEqual(center.defects, []);
});

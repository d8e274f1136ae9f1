import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const hypo = fileURLToPath(new URL('../bin/hypo.mjs', import.meta.url));

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

function command(home: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [hypo, ...args, '--home', home], (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
  });
}

async function withHome(run: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'hypostyle-host-'));
  try {
    await run(home);
  } finally {
    await command(home, 'host', 'stop');
    await rm(home, { recursive: true });
  }
}

function get(url: string, ca: string, path: string, authorization?: string) {
  return new Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]>; body: string }>(
    (resolve, reject) => {
      const headers = authorization === undefined ? {} : { authorization };
      request(new URL(path, url), { ca, headers, agent: false }, (incoming) => {
        let body = '';
        incoming.setEncoding('utf8').on('data', (part: string) => {
          body += part;
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode, headers: incoming.headers, body }));
      })
        .on('error', reject)
        .end();
    },
  );
}

test('a detached host answers, refuses a second one, and ends when told', async () => {
  await withHome(async (home) => {
    const ready = join(home, 'ready.json');
    const started = await command(home, 'host', '--detach', '--listen', '127.0.0.1:0', '--ready-file', ready);
    assert.equal(started.code, 0, started.errors);
    const message = JSON.parse(await readFile(ready, 'utf8')) as Record<'url' | 'username' | 'password', string> & {
      pid: number;
    };
    assert.equal((await stat(ready)).mode & 0o777, 0o600);
    assert.ok(started.output.includes(message.url));
    const ca = await readFile(join(home, 'tls', 'ca.crt'), 'utf8');

    const health = await get(message.url, ca, '/healthz');
    assert.equal(health.status, 200);
    const facts = JSON.parse(health.body) as Record<string, unknown>;
    assert.equal(facts.ok, true);
    assert.ok(facts.accelerator === 'kvm' || typeof facts.acceleratorReason === 'string');

    const challenge = await get(message.url, ca, '/folder');
    assert.equal(challenge.status, 401);
    assert.match(String(challenge.headers['www-authenticate']), /^Basic/);
    const basic = (password: string) => `Basic ${Buffer.from(`${message.username}:${password}`).toString('base64')}`;
    assert.equal((await get(message.url, ca, '/folder', basic('wrong'))).status, 401);
    const folder = await get(message.url, ca, '/folder', basic(message.password));
    assert.equal(folder.status, 200);
    assert.match(folder.body, /datastore1/);

    assert.match((await get(message.url, ca, '/')).body, /Hypostyle/);
    const missing = await get(message.url, ca, '/nothing');
    assert.equal(missing.status, 404);
    assert.match(String(missing.headers['content-type']), /json/);
    assert.equal((await get(message.url, ca, `/nfc/${'0'.repeat(32)}/disk.vmdk`)).status, 404);

    assert.deepEqual(JSON.parse((await command(home, 'ls', '--json')).output), []);

    for (const second of [['--detach'], []]) {
      const refused = await command(home, 'host', '--listen', '127.0.0.1:0', ...second);
      assert.equal(refused.code, 1);
      assert.ok(refused.errors.includes(String(message.pid)) && refused.errors.includes(message.url), refused.errors);
    }

    const stopped = await command(home, 'host', 'stop');
    assert.equal(stopped.code, 0);
    await assert.rejects(get(message.url, ca, '/healthz'), { code: 'ECONNREFUSED' });
    assert.equal((await command(home, 'host', 'status')).code, 3);
  });
});

test('a host in the foreground greets, and ends with 0 at SIGTERM', async () => {
  await withHome(async (home) => {
    const child = spawn(process.execPath, [hypo, 'host', '--home', home, '--listen', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
    for (let tries = 0; tries < 600 && !output.includes('Ctrl-C'); tries += 1) await sleep(50);
    assert.match(output, /Hypostyle .* is ready[\s\S]*https:\/\/127\.0\.0\.1:\d+/);
    const password = (await readFile(join(home, 'password'), 'utf8')).trim();
    assert.ok(!output.includes(password));
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
    assert.ok(!(await readFile(join(home, 'log', 'hypostyle.log'), 'utf8')).includes(password));
  });
});

test('a host that was killed leaves nothing that keeps the next one from starting', async () => {
  await withHome(async (home) => {
    const start = async () => {
      const { code, output, errors } = await command(home, 'host', '--detach', '--listen', '127.0.0.1:0', '--json');
      assert.equal(code, 0, errors);
      return (JSON.parse(output) as { pid: number }).pid;
    };
    const first = await start();
    process.kill(first, 'SIGKILL');
    while ((await command(home, 'host', 'status')).code === 0) await sleep(50);
    assert.notEqual(await start(), first);
  });
});

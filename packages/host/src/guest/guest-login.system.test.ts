import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeParameter, exitCodes, launcher, operations } from './guest-scripts.ts';

const password = 'näher $1 "quoted"';
/** Accounts as the system's own tools make them, by how their passwords are kept. */
const accounts = { yvonne: 'YESCRYPT', sam: 'SHA512', tom: 'SHA256' } as const;

/** What keeps a sign-in of this system from being tried; undefined where it can be. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'accounts are made as root only';
  const tried = spawnSync('unshare', ['--mount', 'true']);
  if (tried.status !== 0) return 'this machine gives no mount namespaces';
  const absent = ['unix_chkpwd', 'chpasswd', 'useradd', 'chage'].find(
    (name) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${name}`]).status !== 0,
  );
  return absent === undefined ? undefined : `this machine has no ${absent}: it is part of Debian's libpam and passwd`;
}

let etc = '';
const reason = missing();

/** With accounts of the test's own, in a namespace of its own: those of this machine are not touched. */
function inside(script: string, ...words: string[]) {
  return ['--mount', 'sh', '-c', `mount --bind "$0" /etc && PATH=$PATH:/usr/sbin:/sbin && ${script}`, etc, ...words];
}

function prepare(script: string): void {
  const { status, stderr } = spawnSync('unshare', inside(script), { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

before(async () => {
  if (reason !== undefined) return;
  etc = join(await mkdtemp(join(tmpdir(), 'login-')), 'etc');
  await cp('/etc', etc, { recursive: true, verbatimSymlinks: true });
  for (const [user, method] of Object.entries(accounts))
    prepare(`useradd --no-create-home ${user} && printf '%s:%s\\n' ${user} '${password}' | chpasswd -c ${method}`);
});

after(async () => {
  if (etc !== '') await rm(join(etc, '..'), { recursive: true, force: true });
});

/** What a sign-in ends with, and what it wrote. */
async function signIn(user: string, secret: string, operation: keyof typeof operations = 'nothing') {
  const child = spawn('unshare', inside('exec /bin/sh -c "$1" hypostyle "$2"', launcher, operations[operation]));
  const output: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => output.push(part));
  child.stdin.on('error', () => {});
  child.stdin.end([user, secret, 'check'].map(encodeParameter).join(''));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, output: Buffer.concat(output).toString() };
}

for (const user of Object.keys(accounts)) {
  test(`${user} signs in by PAM with the right password, as nobody else and with no other`, async (t) => {
    if (reason !== undefined) return t.skip(reason);
    const { code, output } = await signIn(user, password, 'readEnvironment');
    assert.equal(code, 0);
    assert.ok(output.split('\0').includes(`USER=${user}`));
    for (const wrong of ['', password.slice(1)])
      assert.equal((await signIn(user, wrong)).code, exitCodes.invalidLogin, JSON.stringify(wrong));
  });
}

test('accounts that are locked, expired, or have to change their password first do not sign in', async (t) => {
  if (reason !== undefined) return t.skip(reason);
  const outcome = async (script: string) => {
    prepare(script);
    return (await signIn('sam', password)).code;
  };
  assert.equal(await outcome('passwd -l sam'), exitCodes.invalidLogin);
  assert.equal(await outcome('passwd -u sam'), 0);
  assert.equal(await outcome('chage -E 2001-01-01 sam'), exitCodes.invalidLogin);
  assert.equal(await outcome('chage -E -1 sam'), 0);
  assert.equal(await outcome('chage -d 0 sam'), exitCodes.invalidLogin);
  assert.equal(await outcome('chage -d 2001-01-01 -M 30 sam'), exitCodes.invalidLogin);
  assert.equal(await outcome('chage -d "$(date +%F)" -M 99999 sam'), 0);
  assert.equal((await signIn('nobody-here', password)).code, exitCodes.invalidLogin);
});

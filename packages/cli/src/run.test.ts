import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { commandFiles } from './commands/index.ts';
import { completionPlaces } from './completion/command-tree.ts';
import { completionScript, shells } from './completion/scripts.ts';
import { makeProgram } from './program.ts';
import { run } from './run.ts';
import { memoryContext } from './testing/memory-terminal.ts';

async function runHere(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const memory = memoryContext(environment);
  const code = await run(args, memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

test('help and version are no failures', async () => {
  assert.equal((await runHere(['--help'])).code, 0);
  assert.match((await runHere(['--version'])).output, /^\d+\.\d+\.\d+/);
  assert.match((await runHere(['deploy', '--help'])).output, /Examples:/);
});

test('wrong usage is 2, and says what is wrong', async () => {
  for (const [args, words] of [
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['ls', '--nope'], /unknown option '--nope'/],
    [['info'], /missing required argument/],
    [['host', '--listen', 'nonsense'], /'nonsense' is not HOST:PORT/],
    [['deploy', 'a.ova', '--forward', '80'], /8080:80/],
    [['register', 'web.vmx'], /\[datastore1\]/],
    [['logs', '--serial'], /--serial needs/],
    [['completion', 'csh'], /bash, zsh, fish/],
    [['host', 'join', 'root@esx2'], /HOST:PORT/],
    [['host', 'join', 'esx2', '--cluster', 'a', '--folder', 'b'], /not both/],
    [['host', 'maintenance', 'enter', 'esx2', '--timeout', 'x'], /no number of seconds/],
    [['host', 'autostart', 'configure'], /what is to be changed/],
    [['host', 'autostart', 'add', 'web', '--order', 'first'], /whole number/],
    [['vm', 'create', 'web', '--cpus', '0'], /whole number from 1/],
    [['vm', 'create', 'web', '--disk', 'much'], /no size such as 40G/],
    [['vm', 'create', 'web', '--controller', 'ide'], /Allowed choices are pvscsi/],
    [['datastore', 'upload', '/nonexistent', '[datastore1] a'], /cannot be read/],
    [['mv', 'web'], /what is moved and where it goes/],
    [['cluster', 'change', 'east'], /--drs or --ha/],
    [['cluster', 'create', 'east', '--drs', 'sometimes'], /Allowed choices are off, manual/],
    [['pool', 'change', 'gold'], /limits, reservations or shares/],
    [['pool', 'create', 'gold', '--cpu-limit', 'much'], /whole number/],
    [['pool', 'create', 'a/b', '--in', 'c'], /Leave out --in/],
    [['folder', 'create', '/'], /with a '\/' within a name as %2f/],
    [['tag', 'create', 'gold'], /--category/],
    [['tag', 'category', 'create', 'tier', '--for', 'thing'], /Use machine, datastore/],
    [['role', 'change', 'operator'], /--name, --add or --remove/],
    [['ls', '--url', 'http://a'], /https:\/\/HOST:PORT/],
    [['ls', '--url', 'https://a'], /password/],
  ] as const) {
    const { code, errors } = await runHere(args, { HYPOSTYLE_HOME: '/nonexistent' });
    assert.equal(code, 2, args.join(' '));
    assert.match(errors, words);
  }
});

test('no server is 3, with the way to start one', async () => {
  const { code, errors } = await runHere(['ls'], { HYPOSTYLE_HOME: '/nonexistent' });
  assert.equal(code, 3);
  assert.match(errors, /No server runs for \/nonexistent[\s\S]*hypo up --detach/);
  const remote = await runHere(['ls', '--url', 'https://127.0.0.1:1'], { HYPOSTYLE_PASSWORD: 'x' });
  assert.equal(remote.code, 3);
  assert.match(remote.errors, /127\.0\.0\.1:1 cannot be reached/);
  assert.equal((await runHere(['host', 'status', '--home', '/nonexistent'])).code, 3);
});

test('a missing package is 4', async () => {
  const { code, errors } = await runHere(['deploy', '/nonexistent.ova'], { HYPOSTYLE_HOME: '/nonexistent' });
  assert.equal(code, 4);
  assert.match(errors, /\/nonexistent\.ova/);
});

test('the local log is shown from its end', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-cli-'));
  try {
    assert.equal((await runHere(['logs', '--home', folder])).code, 4);
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(folder, 'log'));
    await writeFile(join(folder, 'log', 'hypostyle.log'), `${'x'.repeat(100_000)}\nlast\n`);
    const { code, output } = await runHere(['logs', '--home', folder]);
    assert.equal(code, 0);
    assert.match(output, /last\n$/);
    assert.ok(output.length <= 64 * 1024);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every command has a description and an example', async () => {
  const visit = (command: Command) => {
    if (command.name().startsWith('_')) return;
    assert.ok(command.description(), command.name());
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) });
    command.outputHelp();
    assert.match(help, /Examples?:/, command.name());
    for (const child of command.commands) visit(child);
  };
  visit(await makeProgram(memoryContext().context));
});

test('a command line loads the file of its command alone, and that has what its names promise', async () => {
  const namesOf = (program: Command) => program.commands.map((command) => command.name());
  const { context } = memoryContext();
  const all = namesOf(await makeProgram(context));
  for (const { names, all: whole } of commandFiles) {
    for (const name of names) {
      const made = namesOf(await makeProgram(context, ['--home', 'disk', '--json', name, 'ls', '--help']));
      assert.deepEqual(made, whole ? all : names, name);
    }
  }
  assert.deepEqual(
    all,
    commandFiles.flatMap(({ names }) => names),
  );
  assert.deepEqual(namesOf(await makeProgram(context, ['help', 'disk'])), all);
});

test('completion knows every command and option', async () => {
  const places = completionPlaces(await makeProgram(memoryContext().context));
  const top = places.find(({ path }) => path === '');
  assert.ok(top?.commands.some(({ name }) => name === 'deploy'));
  assert.ok(!top?.commands.some(({ name }) => name.startsWith('_')));
  assert.equal(places.find(({ path }) => path === 'power on')?.argument, 'machine');
  assert.ok(places.find(({ path }) => path === 'deploy')?.options.some(({ flag }) => flag === '--wait-ip'));
  for (const shell of shells) {
    const script = completionScript(shell, places);
    for (const word of ['deploy', 'wait-ip', '__names']) assert.ok(script.includes(word), `${shell}: ${word}`);
  }
});

test('the page of the commands tells every one of them, and no other', async () => {
  const page = await readFile(new URL('../../../docs/commands.md', import.meta.url), 'utf8');
  const paths: string[] = [];
  const visit = (command: Command, path: string) => {
    paths.push(path);
    for (const child of command.commands) if (!child.name().startsWith('_')) visit(child, `${path} ${child.name()}`);
  };
  for (const command of (await makeProgram(memoryContext().context)).commands) {
    if (!command.name().startsWith('_')) visit(command, `hypo ${command.name()}`);
  }
  // A command that is only there for those below it is named by them.
  for (const path of paths) assert.ok(page.includes(path), path);
  const known = new Set(paths.flatMap((path) => path.split(' ')));
  for (const [, words = ''] of page.matchAll(/`hypo ((?:[a-z]+(?:-[a-z]+)*(?: |\b))+)/g)) {
    for (const word of words.trim().split(' ')) assert.ok(known.has(word) || word === 'help', word);
  }
});

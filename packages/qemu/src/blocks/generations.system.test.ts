import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { imageTool } from '../image/image-tool.ts';
import { diskGraph } from '../machine/block-graph.ts';
import { Spawner } from '../process/spawner.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { passGenerations } from './generations.ts';

const spawner = new Spawner();
const images = imageTool((command, options) => spawner.run(command, options));
const virtualBytes = 4 << 20;

/** An engine without a machine, by its monitor. */
function startEngine() {
  const child = spawn('qemu-system-x86_64', ['-M', 'none', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const waiting: PromiseWithResolvers<unknown>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    // What the engine's I/O command says comes between the monitor's lines.
    const message: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
    if (!isObject(message)) return;
    if ('return' in message) waiting.shift()?.resolve(message.return);
    else if (isObject(message.error)) waiting.shift()?.reject(new Error(String(message.error.desc)));
  });
  const execute = (command: string, args?: object): Promise<unknown> => {
    const answer = Promise.withResolvers<unknown>();
    waiting.push(answer);
    child.stdin.write(`${JSON.stringify({ execute: command, arguments: args ?? {} })}\n`);
    return answer.promise;
  };
  const io = (node: string, command: string) =>
    execute('human-monitor-command', { 'command-line': `qemu-io ${node} "${command}"` });
  return { child, execute, io };
}

type TestEngine = ReturnType<typeof startEngine>;

/** Name, dirty bytes and whether it takes writes, of each bitmap. */
async function bitmapsOf(engine: TestEngine, name: string): Promise<unknown[]> {
  const nodes = (await engine.execute('query-named-block-nodes', { flat: true })) as Record<string, unknown>[];
  const bitmaps = nodes.find((node) => node['node-name'] === name)?.['dirty-bitmaps'] as Record<string, unknown>[];
  return (bitmaps ?? []).map(({ name: bitmap, count, recording }) => [bitmap, count, recording]).sort();
}

it('passes generations on to the layer that a merge goes into', { timeout: 30_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'generations-'));
  const engine = startEngine();
  try {
    const [path, changesPath] = [join(folder, 'd-flat.vmdk'), join(folder, 'd-ctk.qcow2')];
    await writeFile(path, Buffer.alloc(virtualBytes));
    await images.createChangeLayer({ path: changesPath, fileName: 'd-flat.vmdk', virtualBytes });
    const base = { format: 'raw' as const, path, changesPath };
    const delta = { format: 'qcow2' as const, path: join(folder, 'd1.qcow2') };
    await images.createDelta({ path: delta.path, virtualBytes, backing: { ...base, relativePath: 'd-flat.vmdk' } });
    await engine.execute('qmp_capabilities');
    const disk = { id: 'd', controllerId: 'c', unit: 0, layers: [delta, base], readOnly: false, discardWrites: false };
    const { nodes, top } = diskGraph({ disk, index: 0, directIo: false });
    for (const node of nodes) await engine.execute('blockdev-add', node);
    await passGenerations(engine, 'disk0-1', ['g1'], null);
    await passGenerations(engine, 'disk0-1', ['g1'], null);
    assert.deepEqual(await bitmapsOf(engine, 'disk0-1'), [['g1', 0, true]]);
    await engine.io(top, 'write -P 7 1M 128k');
    await passGenerations(engine, 'disk0-1', ['g2'], null);
    await engine.execute('block-commit', { 'job-id': 'j', device: top, 'base-node': 'disk0-1', 'auto-dismiss': false });
    for (;;) {
      const [job] = (await engine.execute('query-jobs')) as { status: string; error?: string }[];
      assert.equal(job?.error, undefined);
      if (job?.status === 'ready') break;
    }
    assert.deepEqual(await bitmapsOf(engine, 'disk0-1'), [
      ['g1', 0, false],
      ['g2', 131_072, true],
    ]);
  } finally {
    engine.child.kill('SIGKILL');
    if (engine.child.exitCode === null && engine.child.signalCode === null) await once(engine.child, 'exit');
    await rm(folder, { recursive: true });
  }
});

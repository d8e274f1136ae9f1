import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

/** What one run took. */
export interface Run {
  readonly seconds: number;
  /** The most memory that the process and its children had at once, as far as looks every 20 ms tell. Bytes. */
  readonly peakBytes: number;
  readonly output: string;
}

/** Runs a command to its end; a shell's command line where the words are one. */
export async function runContestant(words: readonly string[], cacheFolder: string): Promise<Run> {
  const [command = '', ...parts] = words.length === 1 ? ['/bin/sh', '-c', ...words] : words;
  const started = performance.now();
  const child = spawn(command, parts, {
    stdio: ['ignore', 'pipe', 'inherit'],
    // As `hypo` does for itself.
    env: { ...process.env, NODE_COMPILE_CACHE: cacheFolder },
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data;
  });
  let peakBytes = 0;
  const look = async () => {
    peakBytes = Math.max(peakBytes, await memoryOf(child.pid ?? 0));
  };
  const timer = setInterval(() => void look(), 20);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}`);
  return { seconds, peakBytes, output };
}

/** Memory of a process and all below it. */
async function memoryOf(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    let bytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const children = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8');
      for (const child of children.split(' ').filter(Boolean)) bytes += await memoryOf(Number(child));
    }
    return bytes;
  } catch {
    return 0;
  }
}

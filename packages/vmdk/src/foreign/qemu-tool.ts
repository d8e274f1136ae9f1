import { type ChildProcess, spawn } from 'node:child_process';
import { VmdkError } from '../errors.ts';

/** The last of what a tool complained about is enough. */
const mostComplaints = 4000;

export interface ToolRun {
  readonly child: ChildProcess;
  /** Resolves when it ended well; otherwise throws with what it said. */
  readonly ended: Promise<void>;
}

export interface ToolOptions {
  /** The image, for messages. */
  readonly file: string;
  readonly signal?: AbortSignal;
  readonly onOutput?: (text: string) => void;
}

/** Runs a tool of qemu-utils, which ends when this process does. `tool-missing` when it is not installed. */
export function runTool(tool: string, words: readonly string[], options: ToolOptions): ToolRun {
  const { file, signal, onOutput } = options;
  // Killed with its parent, so that nothing is left running (setpriv is of util-linux).
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', tool, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => onOutput?.(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = `${complaints}${text}`.slice(-mostComplaints);
  });
  const stop = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', stop, { once: true });
  const ended = new Promise<void>((resolve, reject) => {
    const missing = (cause?: Error) =>
      new VmdkError('tool-missing', {
        file,
        reason: `it needs ${tool}; on Debian and Ubuntu: sudo apt-get install qemu-utils qemu-system-common`,
        cause,
      });
    child.on('error', (error) => reject(missing(error)));
    child.on('close', (code, ending) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else if (code === 127 || /failed to execute/.test(complaints)) reject(missing());
      else {
        const reason = complaints.trim() || `${tool} ended with ${code ?? ending}`;
        reject(new VmdkError('tool-failed', { file, reason }));
      }
    });
  });
  ended.catch(() => undefined);
  return { child, ended };
}

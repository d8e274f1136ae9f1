import { spawn } from 'node:child_process';
import { qemuErrors } from '../errors.ts';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { isObject, type JsonObject, parseQmpMessage } from '../qmp/qmp-message.ts';

/** What an installed engine says of itself under one accelerator. */
export interface EngineDescription {
  /** Such as `7.2.22`. */
  readonly version: string;
  /** Versioned machine type, such as `pc-i440fx-7.2`. */
  readonly machineType: string;
  readonly maxCpus: number;
  /** CPU model with every feature by name, for `-cpu`. */
  readonly cpuModel: string;
}

/** Starts the engine without a guest and asks. Rejects with `engine-missing`, or an `Error` with the engine's words. */
export async function queryEngine(options: {
  readonly program: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly timeoutMs: number;
}): Promise<EngineDescription> {
  const model = options.accelerator === 'kvm' ? 'host' : 'max';
  const answers = await ask(options, [
    { execute: 'qmp_capabilities' },
    { execute: 'query-machines', id: 'machines' },
    { execute: 'query-cpu-model-expansion', arguments: { type: 'static', model: { name: model } }, id: 'cpu' },
    { execute: 'quit' },
  ]);
  const machines = answers.returns.get('machines');
  const machine = (Array.isArray(machines) ? machines : []).find(
    (entry: unknown): entry is JsonObject => isObject(entry) && entry.alias === 'pc',
  );
  const expansion = answers.returns.get('cpu');
  const cpu = isObject(expansion) ? expansion.model : undefined;
  if (!answers.version || typeof machine?.name !== 'string' || !isObject(cpu)) {
    throw qemuErrors.engineTooOld(answers.errors.trim().split('\n').at(-1) ?? 'no answer');
  }
  return {
    version: answers.version,
    machineType: machine.name,
    maxCpus: typeof machine['cpu-max'] === 'number' ? machine['cpu-max'] : 1,
    cpuModel: cpuModelArgument(cpu),
  };
}

/** Five-level paging makes address translation slower and gives a guest of this size nothing. */
const unwantedFeatures = new Set(['la57']);

/** A static expansion as value of `-cpu`: the empty model and everything that is on, in a fixed order. */
export function cpuModelArgument(model: JsonObject): string {
  const properties = isObject(model.props) ? model.props : {};
  const settings = Object.entries(properties)
    .filter(([name, value]) => value !== false && !unwantedFeatures.has(name))
    .map(([name, value]) => `${name}=${value === true ? 'on' : String(value).replaceAll(',', ',,')}`)
    .sort();
  return [String(model.name), ...settings].join(',');
}

interface Answers {
  version: string;
  readonly returns: Map<string, unknown>;
  errors: string;
}

function ask(
  options: { readonly program: string; readonly accelerator: string; readonly timeoutMs: number },
  commands: readonly object[],
): Promise<Answers> {
  return new Promise((resolve, reject) => {
    const accelerator = ['-accel', options.accelerator];
    const args = ['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'pc', ...accelerator, '-S'];
    const child = spawn(options.program, [...args, '-qmp', 'stdio'], {
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
    });
    const answers: Answers = { version: '', returns: new Map(), errors: '' };
    const parser = new JsonLineParser({ maxBytes: 16 << 20 });
    child.on('error', (cause: NodeJS.ErrnoException) => {
      reject(cause.code === 'ENOENT' ? qemuErrors.engineMissing(options.program) : cause);
    });
    child.stdin.on('error', () => {});
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      answers.errors = (answers.errors + text).slice(-4096);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const value of parser.push(chunk)) {
          const message = parseQmpMessage(value);
          if (message?.kind === 'greeting') answers.version = message.version;
          if (message?.kind === 'return' && typeof message.id === 'string')
            answers.returns.set(message.id, message.value);
          if (message?.kind === 'error') answers.errors += `${message.description}\n`;
        }
      } catch {
        child.kill('SIGKILL');
      }
    });
    child.on('close', () => resolve(answers));
    child.stdin.end(commands.map((command) => `${JSON.stringify(command)}\n`).join(''));
  });
}

import { PassThrough, Readable } from 'node:stream';
import type { CommandContext } from '../command-context.ts';

/** A command's surroundings in memory, and what it wrote there. `input` is what the standard input holds. */
export function memoryContext(environment: NodeJS.ProcessEnv = {}, input = '') {
  const output = new PassThrough();
  const errors = new PassThrough();
  const context: CommandContext = {
    terminal: { input: Readable.from(input === '' ? [] : [input]), output, errors },
    environment,
    signal: new AbortController().signal,
  };
  const textOf = (stream: PassThrough) => String(stream.read() ?? '');
  return { context, output: () => textOf(output), errors: () => textOf(errors) };
}

/** The same with somebody at a terminal, who answers each question with the next line. */
export function personContext(lines: readonly string[]) {
  const memory = memoryContext();
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => void modes.push(raw),
  });
  const answers = [...lines];
  const { terminal } = memory.context;
  let asked = '';
  const errors = new PassThrough();
  errors.on('data', (text: Buffer) => {
    asked += String(text);
    const line = answers[0];
    if (line === undefined || !/[:\]] $/.test(String(text))) return;
    answers.shift();
    setImmediate(() => input.write(`${line}\r`));
  });
  const context: CommandContext = { ...memory.context, terminal: { ...terminal, input, errors } };
  return { context, asked: () => asked, modes };
}

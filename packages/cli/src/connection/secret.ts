import { readFile } from 'node:fs/promises';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { ask } from '../output/prompt.ts';

export interface SecretSource {
  /** Whose, as the question says: `root at esx2`. */
  readonly whose: string;
  /** Of the command: `--host-password-file`. */
  readonly option: string;
  /** Its value: a path, or `-` for the standard input. */
  readonly file: string | undefined;
  /** Asked twice, as nobody sees what was typed. */
  readonly fresh?: boolean;
}

/** A password from a file, the standard input, or the person; never from an argument, which everybody can see. */
export async function readSecret(
  { terminal, signal }: CommandContext,
  { whose, option, file, fresh = false }: SecretSource,
): Promise<string> {
  const secret =
    file === '-' ? await firstLine(terminal.input) : file === undefined ? await typed() : firstOf(await content(file));
  if (secret !== '') return secret;
  throw new CliError('usage', `The password of ${whose} is empty.`, { next: `Give it with ${option} FILE.` });

  async function typed(): Promise<string> {
    if (!terminal.input.isTTY) {
      throw new CliError('usage', `The password of ${whose} is missing.`, {
        next: `Give it with ${option} FILE, or ${option} - to read it from the standard input.`,
      });
    }
    const first = await ask(terminal, `Password of ${whose}: `, { hidden: true, signal });
    if (fresh && first !== (await ask(terminal, 'Once more: ', { hidden: true, signal }))) {
      throw new CliError('usage', 'The two passwords differ.', { next: 'Try again.' });
    }
    return first;
  }

  async function content(path: string): Promise<string> {
    return readFile(path, 'utf8').catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CliError('usage', `The password of ${whose} cannot be read: ${reason}.`, {
        next: `Give a file that this user can read with ${option}.`,
        cause,
      });
    });
  }
}

async function firstLine(input: AsyncIterable<Buffer | string>): Promise<string> {
  let text = '';
  for await (const chunk of input) {
    text += String(chunk);
    if (text.includes('\n') || text.length > 4096) break;
  }
  return firstOf(text);
}

function firstOf(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

import { StringDecoder } from 'node:string_decoder';
import { CliError } from '../errors.ts';
import type { Terminal } from './terminal.ts';

/** Asks at the terminal and reads a line; a hidden one is not shown while it is typed. */
export async function ask(
  { input, errors }: Terminal,
  question: string,
  { hidden, signal }: { readonly hidden: boolean; readonly signal: AbortSignal },
): Promise<string> {
  errors.write(question);
  const raw = hidden && input.setRawMode !== undefined;
  if (raw) input.setRawMode?.(true);
  let typed = '';
  const decoder = new StringDecoder('utf8');
  try {
    return await new Promise<string>((resolve, reject) => {
      const take = (chunk: Buffer | string) => {
        for (const sign of typeof chunk === 'string' ? chunk : decoder.write(chunk)) {
          switch (sign) {
            case '\r':
            case '\n':
              finish(() => resolve(typed));
              return;
            // Ctrl-C reaches nobody else while the terminal is raw.
            case '\x03':
              finish(() => reject(new CliError('failed', 'Nothing was done.')));
              return;
            case '\x04':
              finish(() => resolve(typed));
              return;
            case '\x7f':
            case '\b':
              typed = [...typed].slice(0, -1).join('');
              break;
            default:
              if (typed.length < 4096) typed += sign;
          }
        }
      };
      const end = () => finish(() => resolve(typed));
      const abort = () => finish(() => reject(signal.reason));
      const finish = (settle: () => void) => {
        input.off('data', take).off('end', end).pause();
        signal.removeEventListener('abort', abort);
        settle();
      };
      input.on('data', take).once('end', end);
      signal.addEventListener('abort', abort, { once: true });
      input.resume();
      if (signal.aborted) abort();
    });
  } finally {
    if (raw) {
      input.setRawMode?.(false);
      errors.write('\n');
    }
  }
}

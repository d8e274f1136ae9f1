import pino, { type Logger } from 'pino';
import { RotatingFile } from './rotating-file.ts';

export interface ServerLog {
  readonly logger: Logger;
  /** Writes what is not written yet, and ends. */
  close(): void;
}

const secrets = ['password', 'token', 'ticket', 'cookie', 'authorization'];

/** The log of a server: JSON lines in files of 10 MB, of which five old ones are kept. */
export function openLog(path: string, level = 'info'): ServerLog {
  const file = new RotatingFile(path, { limitBytes: 10 << 20, kept: 5 });
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '***' },
    },
    file,
  );
  return { logger, close: () => file.close() };
}

/** A request's path without what opens something: lease ids, tickets, the query. */
export function loggedPath(url: string): string {
  const path = url.split('?', 1)[0] ?? '';
  return path.slice(0, 256).replace(/^\/(nfc|ticket)\/[^/]*/, '/$1/***');
}

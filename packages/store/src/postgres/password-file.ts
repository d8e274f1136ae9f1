import { open } from 'node:fs/promises';

/** Whom a password is for. */
export interface PasswordQuestion {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

const mostBytes = 1024 * 1024;

/**
 * Reads a password from a file in the format of libpq (PostgreSQL documentation, "The Password File"). Answers
 * undefined when no line fits. Rejects when the file cannot be read, or when others than its owner may.
 */
export async function readPasswordFile(path: string, question: PasswordQuestion): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) throw new Error(`the password file ${path} must be its owner's alone: chmod 600`);
    if (size > mostBytes) throw new Error(`the password file ${path} is too large`);
    return findPassword(await file.readFile('utf8'), question);
  } finally {
    await file.close();
  }
}

/** The password of the first line that fits: `host:port:database:user:password`, where `*` is anything. */
export function findPassword(text: string, { host, port, database, user }: PasswordQuestion): string | undefined {
  // A Unix-domain socket in its usual place is called localhost there.
  const hosts = host === '/var/run/postgresql' || host === '/run/postgresql' ? [host, 'localhost'] : [host];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = splitLine(line);
    const [forHost = '', forPort = '', forDatabase = '', forUser = '', password] = fields;
    if (password === undefined) continue;
    const fits =
      (forHost === '*' || hosts.includes(forHost)) &&
      (forPort === '*' || forPort === String(port)) &&
      (forDatabase === '*' || forDatabase === database) &&
      (forUser === '*' || forUser === user);
    if (fits) return password;
  }
  return undefined;
}

/** Fields between colons; a backslash makes a colon or a backslash part of a field. */
function splitLine(line: string): string[] {
  const fields = [''];
  for (let index = 0; index < line.length; index++) {
    let character = line.charAt(index);
    if (character === ':') {
      fields.push('');
      continue;
    }
    if (character === '\\' && index + 1 < line.length) character = line.charAt(++index);
    fields[fields.length - 1] += character;
  }
  return fields;
}

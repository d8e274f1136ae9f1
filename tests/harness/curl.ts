import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Daemon } from './daemon.ts';

const run = promisify(execFile);

export interface CurlAnswer {
  readonly status: number;
  /** What JSON it is; the text where it is none, undefined where it is empty. */
  readonly body: unknown;
}

/** Calls the Automation interface of a center with Debian's curl. */
export class Curl {
  readonly #url: string;
  readonly #headers: string[];

  constructor(daemon: Daemon, headers: readonly string[] = []) {
    this.#url = daemon.url;
    this.#headers = headers.flatMap((header) => ['-H', header]);
  }

  /** A curl that signs in by a new session of `/api`. */
  static async signedIn(daemon: Daemon): Promise<Curl> {
    const { status, body } = await new Curl(daemon).basic('POST', '/api/session', daemon);
    if (status !== 201 || typeof body !== 'string') throw new Error(`no session: ${status} ${JSON.stringify(body)}`);
    return new Curl(daemon, [`vmware-api-session-id: ${body}`]);
  }

  /** A request with Basic sign-in. */
  basic(method: string, path: string, by: { readonly username: string; readonly password: string }) {
    return this.#run(['-X', method, '-u', `${by.username}:${by.password}`], path);
  }

  /** A request with JSON as its body. */
  send(method: string, path: string, body?: object): Promise<CurlAnswer> {
    const sent = body === undefined ? [] : ['-H', 'content-type: application/json', '-d', JSON.stringify(body)];
    return this.#run(['-X', method, ...sent], path);
  }

  /** A SOAP request. */
  soap(path: string, body: string): Promise<CurlAnswer> {
    return this.#run(['-H', 'content-type: text/xml', '-d', body], path);
  }

  async #run(words: readonly string[], path: string): Promise<CurlAnswer> {
    const all = ['-sk', '-w', '\n%{http_code}', ...this.#headers, ...words, `${this.#url}${path}`];
    const { stdout } = await run('curl', all, { timeout: 60_000, maxBuffer: 64 << 20 });
    const at = stdout.lastIndexOf('\n');
    const text = stdout.slice(0, at);
    return { status: Number(stdout.slice(at + 1)), body: text === '' ? undefined : jsonOf(text) };
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

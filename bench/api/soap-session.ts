import { Agent, request } from 'node:https';

export interface SoapAnswer {
  /** Milliseconds from sending the request to the first byte of the answer's body, and to its last. */
  readonly firstByte: number;
  readonly lastByte: number;
  readonly bytes: number;
  /** Empty where `onChunk` took it. */
  readonly text: string;
}

export interface CallOptions {
  /** Takes the body as it comes, in place of `text`. */
  readonly onChunk?: (chunk: Buffer) => void;
}

export type ManagerName = 'propertyCollector' | 'viewManager' | 'sessionManager' | 'rootFolder';

/** One signed-in client that writes and reads SOAP as text: its own work is not in the way of what it measures. */
export class SoapSession {
  readonly #agent: Agent;
  readonly #url: URL;
  #cookie = '';
  #content = '';

  private constructor(url: URL, connections: number) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, rejectUnauthorized: false });
  }

  /** Signs in. `connections` is how many requests may be under way. */
  static async open(
    { url, userName, password }: { readonly url: string; readonly userName: string; readonly password: string },
    connections = 1,
  ): Promise<SoapSession> {
    const session = new SoapSession(new URL(url), connections);
    session.#content = (await session.call(serviceContent)).text;
    const login = `<Login xmlns="urn:vim25">${session.self('sessionManager')}<userName>${userName}</userName><password>${password}</password></Login>`;
    await session.call(login);
    return session;
  }

  /** The value of a manager's reference. */
  reference(name: ManagerName): string {
    const value = new RegExp(`<${name}[^>]*>([^<]+)</${name}>`).exec(this.#content)?.[1];
    if (value === undefined) throw new Error(`the service content names no ${name}`);
    return value;
  }

  /** `<_this>` of a manager. */
  self(name: ManagerName): string {
    return `<_this type="${name.charAt(0).toUpperCase()}${name.slice(1)}">${this.reference(name)}</_this>`;
  }

  /** Sends a body's content. Rejects for a fault, with its text. */
  call(content: string, { onChunk }: CallOptions = {}): Promise<SoapAnswer> {
    const body = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>${content}</soapenv:Body></soapenv:Envelope>`;
    const headers = {
      'content-type': 'text/xml; charset=UTF-8',
      soapaction: '"urn:vim25/6.7"',
      'content-length': Buffer.byteLength(body),
      ...(this.#cookie === '' ? {} : { cookie: this.#cookie }),
    };
    const { hostname, port } = this.#url;
    return new Promise((resolve, reject) => {
      const begun = performance.now();
      const options = { agent: this.#agent, host: hostname, port, path: '/sdk', method: 'POST', headers };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        let firstByte = 0;
        const failed = response.statusCode !== 200;
        response.on('data', (chunk: Buffer) => {
          if (bytes === 0) firstByte = performance.now() - begun;
          bytes += chunk.length;
          if (onChunk !== undefined && !failed) onChunk(chunk);
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          const lastByte = performance.now() - begun;
          const text = Buffer.concat(chunks).toString();
          if (failed) {
            const reason = /<faultstring>([^<]*)/.exec(text)?.[1];
            reject(new Error(`${content.slice(0, 60)}: status ${response.statusCode}, ${reason}`));
            return;
          }
          this.#cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? this.#cookie;
          resolve({ firstByte, lastByte, bytes, text });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

const serviceContent =
  '<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>';

import { formatAddress, type ListenAddress } from '../http/listen-address.ts';
import type { KeptTls } from '../tls/kept-tls.ts';
import { HttpsFaces, type HttpsFacesOptions } from './https-faces.ts';

/** One address of the server with its faces, which are there once what is behind them is. */
export class Door {
  readonly #address: ListenAddress;
  #port: number;
  #faces: HttpsFaces | undefined;
  #unfollow: () => void = () => {};

  constructor(address: ListenAddress) {
    this.#address = address;
    this.#port = address.port;
  }

  get port(): number {
    return this.#port;
  }

  /** An address that works from this machine. */
  get url(): string {
    return `https://${formatAddress(reachable(this.#address.host), this.#port)}`;
  }

  /** Throws `ServerError` `address-unavailable`. */
  async open({ tls, ...options }: Omit<HttpsFacesOptions, 'tls'> & { readonly tls: KeptTls }): Promise<void> {
    const faces = new HttpsFaces({ ...options, tls: tls.material });
    this.#faces = faces;
    this.#port = await faces.listen(this.#address);
    this.#unfollow = tls.onRenewed((material) => faces.renewCertificate(material));
  }

  /** Accepts nothing more. */
  stop(): void {
    this.#unfollow();
    this.#faces?.stop();
  }

  /** Ends every connection. */
  async end(): Promise<void> {
    await this.#faces?.end();
  }
}

/** An address of this machine for a wildcard. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
